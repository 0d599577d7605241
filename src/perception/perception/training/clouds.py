"""Simulated training clouds, made once and kept as files."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from perception.classes import IGNORED
from perception.data.drive import DriveFrame
from perception.data.sweeps import merged_points
from perception.paths import share_folder
from perception.training.data_settings import SimulatedData
from perception.types import Boxes3D

DriveSource = Callable[[int], Iterable[DriveFrame]]
#: Of the cached files; part of their folder's name, so that files of an older layout are never read.
CACHE_FORMAT = 3


@dataclass(frozen=True)
class LabelledPoints:
    """One cloud to learn from.

    Attributes:
        points: float32 [N, 4], x, y, z in metres from the sensor, intensity; of several sweeps [N, 5] with the
            time lag.
        class_ids: uint8 [N], 255 where ignored.
        instance_ids: uint32 [N], the object that each point lies on, 0 for none; None where objects are not told apart.
        boxes: of the objects, their instance ids as identifiers; None where they are unknown.
    """

    points: NDArray[np.float32]
    class_ids: NDArray[np.uint8]
    instance_ids: NDArray[np.uint32] | None = None
    boxes: Boxes3D | None = None

    def where(self, kept: Any) -> LabelledPoints:
        """Keep some of the points, bool [N]."""
        instance_ids = None if self.instance_ids is None else self.instance_ids[kept]
        return replace(self, points=self.points[kept], class_ids=self.class_ids[kept], instance_ids=instance_ids)


def simulated_drive(data: SimulatedData) -> DriveSource:
    """The simulator as a function of the seed alone."""
    # Open3D, behind the simulator, takes a second to import.
    from perception.data.simulation import SimulatedDrive, StreetSettings, load_sensor
    from perception.data.simulation.lidar import SpinningLidar

    sensor = load_sensor(data.sensor)
    last = [data.merged_sweeps - 1 + number * data.sweep_step for number in range(data.sweeps_per_drive)]
    sweeps = [sweep for end in last for sweep in range(end - data.merged_sweeps + 1, end + 1)]

    def drive(seed: int) -> Iterable[DriveFrame]:
        frames = data.sweeps_per_drive * data.sweep_step + data.merged_sweeps - 1
        simulated = SimulatedDrive(seed, SpinningLidar(sensor, sensor.rate_hz), frames, StreetSettings())
        return map(simulated.sweep, sweeps)

    return drive


def cache_folder(root: Path, data: SimulatedData) -> Path:
    """A folder of its own for each state of the simulator and its settings, so that stale clouds are never mixed in."""
    sweeps = f"{data.sensor}-{data.sweeps_per_drive}-every-{data.sweep_step}"
    sweeps += f"-of-{data.merged_sweeps}" if data.merged_sweeps > 1 else ""
    return root / f"{sweeps}-{simulator_digest(data.sensor)}-v{CACHE_FORMAT}"


def simulator_digest(sensor: str) -> str:
    """Eight characters that change whenever the simulator's code or the sensor's file does."""
    code = sorted((Path(__file__).parents[1] / "data" / "simulation").glob("*.py"))
    files = [*code, share_folder() / "config" / "sensors" / f"{sensor}.yaml"]
    content = b"".join(file.read_bytes() for file in files if file.name != "command.py" and file.is_file())
    return hashlib.sha256(content).hexdigest()[:8]


def make_clouds(drive: DriveSource, seeds: Iterable[int], folder: Path, merged_sweeps: int = 1) -> list[Path]:
    """Simulate the drives that are not in the folder yet, and return the file of every drive.

    A cloud is made of as many moments of the drive as `merged_sweeps` says.
    An interrupted run goes on where it stopped: a drive's file appears only when it is complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {seed: folder / f"drive_{seed:06d}.npz" for seed in seeds}
    missing = [seed for seed, file in files.items() if not file.is_file()]
    for seed in track(missing, description="simulating drives", disable=not missing):
        save_clouds(
            [labelled(moments) for moments in moments_of(drive(seed), merged_sweeps, merged_sweeps)], files[seed]
        )
    return list(files.values())


def load_clouds(files: Sequence[Path]) -> list[LabelledPoints]:
    """Read the clouds of drives into memory."""
    return [cloud for file in track(files, description="reading clouds") for cloud in read_clouds(file)]


def read_clouds(file: Path) -> list[LabelledPoints]:
    """Read the clouds of one file."""
    with np.load(file) as content:
        columns = [content[name] for name in ("points", "class_ids", "instance_ids")]
        ends = content["ends"]
        boxes = _unpacked(content) if "box_ends" in content else [None] * len(ends)
    starts = np.concatenate([[0], ends[:-1]])
    rows = [slice(a, b) for a, b in zip(starts, ends, strict=True)]
    points, class_ids, instance_ids = columns
    return [
        LabelledPoints(points[own], class_ids[own], instance_ids[own], each)
        for own, each in zip(rows, boxes, strict=True)
    ]


def save_clouds(clouds: Sequence[LabelledPoints], file: Path) -> None:
    """Write clouds into a file, which appears only when it is complete; unknown instances are written as none."""
    partial = file.with_suffix(".partial")
    instance_ids = [np.zeros(len(c.points), np.uint32) if c.instance_ids is None else c.instance_ids for c in clouds]
    arrays: dict[str, Any] = {
        "points": np.concatenate([cloud.points for cloud in clouds]),
        "class_ids": np.concatenate([cloud.class_ids for cloud in clouds]),
        "instance_ids": np.concatenate(instance_ids),
        "ends": np.cumsum([len(cloud.points) for cloud in clouds]),
    }
    arrays |= _packed([cloud.boxes for cloud in clouds if cloud.boxes is not None], len(clouds))
    with partial.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    os.replace(partial, file)


def moments_of(drive: Iterable[DriveFrame], step: int, merged_sweeps: int) -> Iterator[tuple[DriveFrame, ...]]:
    """Take every `step`-th moment of a drive with those just before it, as many in all as are merged."""
    recent: deque[DriveFrame] = deque(maxlen=merged_sweeps)
    for number, moment in enumerate(drive):
        recent.append(moment)
        if number >= merged_sweeps - 1 and (number - merged_sweeps + 1) % step == 0:
            yield tuple(recent)


def labelled(moments: Sequence[DriveFrame]) -> LabelledPoints:
    """Make one cloud of consecutive moments, with the boxes of the last.

    Points without labels are IGNORED.

    Raises:
        ValueError: the last moment has neither labels nor boxes.
    """
    if moments[-1].class_ids is None and moments[-1].objects is None:
        raise ValueError("a drive without labels cannot be learned from")
    class_ids = [_or_full(moment.class_ids, moment, np.uint8(IGNORED)) for moment in moments]
    instance_ids = [_or_full(moment.instance_ids, moment, np.uint32(0)) for moment in moments]
    known = moments[-1].instance_ids is not None
    told_apart = np.concatenate(instance_ids) if known else None
    return LabelledPoints(merged_points(moments), np.concatenate(class_ids), told_apart, moments[-1].objects)


def _or_full(column: NDArray[Any] | None, moment: DriveFrame, value: np.generic) -> NDArray[Any]:
    return np.full(len(moment.frame.cloud), value) if column is None else column


def _packed(boxes: Sequence[Boxes3D], clouds: int) -> dict[str, NDArray[Any]]:
    """Boxes of all clouds as arrays; none where a cloud's are unknown."""
    if len(boxes) < clouds:
        return {}
    rows = [np.column_stack([one.centers, one.sizes, one.yaws, one.velocities, one.scores]) for one in boxes]
    return {
        "boxes": np.concatenate(rows).astype(np.float32),
        "box_names": np.array([name for one in boxes for name in one.class_names], np.str_),
        "box_ids": np.array([each for one in boxes for each in one.ids or ("",) * len(one)], np.str_),
        "box_ends": np.cumsum([len(one) for one in boxes]),
    }


def _unpacked(content: Mapping[str, NDArray[Any]]) -> list[Boxes3D]:
    ends = content["box_ends"]
    starts = np.concatenate([[0], ends[:-1]])
    rows, names, ids = (content[name] for name in ("boxes", "box_names", "box_ids"))
    return [_boxes(rows[a:b], names[a:b], ids[a:b]) for a, b in zip(starts, ends, strict=True)]


def _boxes(rows: NDArray[np.float32], names: NDArray[Any], ids: NDArray[Any]) -> Boxes3D:
    centers, sizes, yaws, velocities, scores = np.split(rows, [3, 6, 7, 9], axis=1)
    return Boxes3D(centers, sizes, yaws[:, 0], tuple(names.tolist()), scores[:, 0], velocities, tuple(ids.tolist()))
