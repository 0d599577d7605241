"""Simulated training clouds, made once and kept as files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from perception.data.drive import DriveFrame
from perception.paths import share_folder
from perception.training.data_settings import SimulatedData

DriveSource = Callable[[int], Iterable[DriveFrame]]
#: Of the cached files; part of their folder's name, so that files of an older layout are never read.
CACHE_FORMAT = 2


@dataclass(frozen=True)
class LabelledPoints:
    """One cloud to learn from.

    Attributes:
        points: float32 [N, 4], x, y, z in metres from the sensor, intensity.
        class_ids: uint8 [N], 255 where ignored.
        instance_ids: uint32 [N], the object that each point lies on, 0 for none; None where objects are not told apart.
    """

    points: NDArray[np.float32]
    class_ids: NDArray[np.uint8]
    instance_ids: NDArray[np.uint32] | None = None


def simulated_drive(data: SimulatedData) -> DriveSource:
    """The simulator as a function of the seed alone."""
    # Open3D, behind the simulator, takes a second to import.
    from perception.data.simulation import SimulatedDrive, StreetSettings, load_sensor
    from perception.data.simulation.lidar import SpinningLidar

    sensor = load_sensor(data.sensor)
    sweeps = range(0, data.sweeps_per_drive * data.sweep_step, data.sweep_step)

    def drive(seed: int) -> Iterable[DriveFrame]:
        simulated = SimulatedDrive(seed, SpinningLidar(sensor, sensor.rate_hz), sweeps.stop, StreetSettings())
        return map(simulated.sweep, sweeps)

    return drive


def cache_folder(root: Path, data: SimulatedData) -> Path:
    """A folder of its own for each state of the simulator and its settings, so that stale clouds are never mixed in."""
    sweeps = f"{data.sensor}-{data.sweeps_per_drive}-every-{data.sweep_step}"
    return root / f"{sweeps}-{simulator_digest(data.sensor)}-v{CACHE_FORMAT}"


def simulator_digest(sensor: str) -> str:
    """Eight characters that change whenever the simulator's code or the sensor's file does."""
    code = sorted((Path(__file__).parents[1] / "data" / "simulation").glob("*.py"))
    files = [*code, share_folder() / "config" / "sensors" / f"{sensor}.yaml"]
    content = b"".join(file.read_bytes() for file in files if file.name != "command.py" and file.is_file())
    return hashlib.sha256(content).hexdigest()[:8]


def make_clouds(drive: DriveSource, seeds: Iterable[int], folder: Path) -> list[Path]:
    """Simulate the drives that are not in the folder yet, and return the file of every cloud.

    An interrupted run goes on where it stopped: a drive's file appears only when it is complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {seed: folder / f"drive_{seed:06d}.npz" for seed in seeds}
    missing = [seed for seed, file in files.items() if not file.is_file()]
    for seed in track(missing, description="simulating drives", disable=not missing):
        save_clouds([_labelled(moment) for moment in drive(seed)], files[seed])
    return list(files.values())


def load_clouds(files: Sequence[Path]) -> list[LabelledPoints]:
    """Read the clouds of drives into memory."""
    return [cloud for file in track(files, description="reading clouds") for cloud in read_clouds(file)]


def read_clouds(file: Path) -> list[LabelledPoints]:
    """Read the clouds of one file."""
    with np.load(file) as content:
        columns = [content[name] for name in ("points", "class_ids", "instance_ids")]
        ends = content["ends"]
    starts = np.concatenate([[0], ends[:-1]])
    return [LabelledPoints(*(column[a:b] for column in columns)) for a, b in zip(starts, ends, strict=True)]


def save_clouds(clouds: Sequence[LabelledPoints], file: Path) -> None:
    """Write clouds into a file, which appears only when it is complete; unknown instances are written as none."""
    partial = file.with_suffix(".partial")
    instance_ids = [np.zeros(len(c.points), np.uint32) if c.instance_ids is None else c.instance_ids for c in clouds]
    with partial.open("wb") as stream:
        np.savez_compressed(
            stream,
            points=np.concatenate([cloud.points for cloud in clouds]),
            class_ids=np.concatenate([cloud.class_ids for cloud in clouds]),
            instance_ids=np.concatenate(instance_ids),
            ends=np.cumsum([len(cloud.points) for cloud in clouds]),
        )
    os.replace(partial, file)


def _labelled(moment: DriveFrame) -> LabelledPoints:
    if moment.class_ids is None:
        raise ValueError("a drive without labels cannot be learned from")
    return LabelledPoints(moment.frame.cloud.points, moment.class_ids, moment.instance_ids)
