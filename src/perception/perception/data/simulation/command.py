"""`perception simulate`: a labelled drive through a procedural street, written as a bag."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from perception.classes import SEMANTIC_KITTI_CLASSES
from perception.configuration import ConfigurationError
from perception.data.drive import DriveFrame
from perception.data.simulation.drive import simulate_drive
from perception.data.simulation.settings import load_sensor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("--out", required=True, metavar="BAG", help="folder of the bag to write")
    parser.add_argument("--sensor", default="hdl64e", help="a name in config/sensors, or a YAML file (default: hdl64e)")
    parser.add_argument("--seed", type=int, default=0, help="draws the street, the traffic and the noise (default: 0)")
    parser.add_argument("--duration-s", type=float, default=10.0, help="length of the drive (default: 10)")
    parser.add_argument("--rate-hz", type=float, help="sweeps a second (default: the sensor's own rate)")
    parser.add_argument("--overwrite", action="store_true", help="replace a bag that is there")


def run(arguments: argparse.Namespace) -> int:
    """Simulate and write; prints what the bag holds."""
    from perception.data.bags import write_drive  # here, so that simulating needs no library for bags

    sensor = load_sensor(arguments.sensor)
    rate_hz = sensor.rate_hz if arguments.rate_hz is None else arguments.rate_hz
    frames = _frames(arguments, rate_hz)
    counts = ClassCounts()
    drive = simulate_drive(seed=arguments.seed, sensor=sensor, frames=frames, rate_hz=rate_hz)
    watched = track(counts.watch(drive), description="simulating", total=frames, transient=True)
    summary = write_drive(arguments.out, watched, overwrite=arguments.overwrite)
    print(
        f"{summary.path}: {summary.frames} frames, {counts.points.sum():,} points, {summary.size_bytes / 1e6:,.1f} MB"
    )
    print("\n".join(counts.lines()))
    return 0


def _frames(arguments: argparse.Namespace, rate_hz: float) -> int:
    if arguments.seed < 0:
        raise ConfigurationError(f"--seed: expected 0 or more, found {arguments.seed}")
    if not np.isfinite(rate_hz) or rate_hz <= 0.0:
        raise ConfigurationError(f"--rate-hz: expected more than 0, found {rate_hz}")
    if not np.isfinite(arguments.duration_s) or arguments.duration_s <= 0.0:
        raise ConfigurationError(f"--duration-s: expected more than 0, found {arguments.duration_s}")
    return max(1, round(arguments.duration_s * rate_hz))


class ClassCounts:
    """Counts the points and objects of each class while the frames of a drive pass through.

    Attributes:
        points: int64 [256], points of each class id.
        objects: class name of boxes -> ids seen.
    """

    def __init__(self) -> None:
        self.points: NDArray[np.int64] = np.zeros(256, np.int64)
        self.objects: dict[str, set[str]] = {}

    def watch(self, frames: Iterable[DriveFrame]) -> Iterator[DriveFrame]:
        """Yield the frames and count what is in them."""
        for frame in frames:
            if frame.class_ids is not None:
                self.points += np.bincount(frame.class_ids, minlength=256)
            if frame.objects is not None:
                for name, identifier in zip(frame.objects.class_names, frame.objects.ids, strict=True):
                    self.objects.setdefault(name, set()).add(identifier)
            yield frame

    def lines(self) -> list[str]:
        """Return a line for each class that occurs, most points first, and one for the objects."""
        names = dict(enumerate(SEMANTIC_KITTI_CLASSES))
        order = [int(index) for index in np.argsort(-self.points, kind="stable") if self.points[index]]
        lines = [f"  {names.get(index, 'no class'):15}{self.points[index]:>14,}" for index in order]
        objects = ", ".join(f"{len(ids)} {name}" for name, ids in sorted(self.objects.items()))
        return [*lines, f"objects: {objects or 'none'}"]
