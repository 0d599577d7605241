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
from perception.training.settings import SimulatedData

DriveSource = Callable[[int], Iterable[DriveFrame]]


@dataclass(frozen=True)
class LabelledPoints:
    """One cloud to learn from: points float32 [N, 4] and classes uint8 [N], 255 where ignored."""

    points: NDArray[np.float32]
    class_ids: NDArray[np.uint8]


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
    return root / f"{data.sensor}-{data.sweeps_per_drive}-every-{data.sweep_step}-{simulator_digest(data.sensor)}"


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
        _save([_labelled(moment) for moment in drive(seed)], files[seed])
    return list(files.values())


def load_clouds(files: Sequence[Path]) -> list[LabelledPoints]:
    """Read the clouds of drives into memory."""
    clouds: list[LabelledPoints] = []
    for file in track(files, description="reading clouds"):
        with np.load(file) as content:
            points, class_ids, ends = content["points"], content["class_ids"], content["ends"]
        starts = np.concatenate([[0], ends[:-1]])
        clouds += [LabelledPoints(points[a:b], class_ids[a:b]) for a, b in zip(starts, ends, strict=True)]
    return clouds


def _labelled(moment: DriveFrame) -> LabelledPoints:
    if moment.class_ids is None:
        raise ValueError("a drive without labels cannot be learned from")
    return LabelledPoints(moment.frame.cloud.points, moment.class_ids)


def _save(clouds: list[LabelledPoints], file: Path) -> None:
    partial = file.with_suffix(".partial.npz")
    np.savez_compressed(
        partial,
        points=np.concatenate([cloud.points for cloud in clouds]),
        class_ids=np.concatenate([cloud.class_ids for cloud in clouds]),
        ends=np.cumsum([len(cloud.points) for cloud in clouds]),
    )
    os.replace(partial, file)
