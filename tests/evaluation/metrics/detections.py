"""Boxes that tests can be written with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception.types import Boxes3D

SIZE_M = (4.0, 2.0, 1.5)


def row(x: float, y: float = 0.0, z: float = 0.0, yaw: float = 0.0) -> tuple[float, ...]:
    return x, y, z, yaw


def cars(
    *rows: tuple[float, ...],
    names: Sequence[str] | str = "Car",
    scores: Sequence[float] = (),
    size: tuple[float, float, float] = SIZE_M,
) -> Boxes3D:
    """Boxes of x, y, z and yaw, each 4 m long, 2 m wide and 1.5 m high unless told otherwise."""
    array = np.array(rows, np.float32).reshape(-1, 4)
    count = len(array)
    return Boxes3D(
        centers=array[:, :3],
        sizes=np.tile(np.array(size, np.float32), (count, 1)),
        yaws=array[:, 3],
        class_names=(names,) * count if isinstance(names, str) else tuple(names),
        scores=np.array(scores, np.float32) if len(scores) else np.ones(count, np.float32),
        velocities=np.zeros((count, 2), np.float32),
    )


class RatedFrame(NamedTuple):
    """A frame of KITTI: boxes, and what its files say of them in the image."""

    truth: Boxes3D
    found: Boxes3D
    truth_heights_px: NDArray[np.float64]
    occlusions: NDArray[np.int64]
    truncations: NDArray[np.float64]
    found_heights_px: NDArray[np.float64]


NAMES = ("Car", "Car", "Car", "Van", "Pedestrian", "Person_sitting", "Cyclist", "DontCare")


def crowded_frame(random: np.random.Generator) -> RatedFrame:
    """Objects of all kinds that overlap each other, found up to three times each, with equal scores among them."""
    count = int(random.integers(0, 12))
    place, yaws = random.uniform(-6, 6, (count, 2)), random.uniform(-3, 3, count)
    names = random.choice(NAMES, count)
    truth = cars(*_rows(place, yaws), names=names.tolist())
    truth.sizes[names == "DontCare"] = 0
    of = np.repeat(np.arange(count), random.integers(0, 4, count))
    named = np.isin(names[of], ["Car", "Pedestrian", "Cyclist"]) & (random.random(len(of)) < 0.9)
    found = cars(
        *_rows(place[of] + random.normal(0, (0.25, 0.15), (len(of), 2)), yaws[of] + random.normal(0, 0.1, len(of))),
        names=np.where(named, names[of], "Car").tolist(),
        scores=(random.integers(1, 60, len(of)) / 64).tolist(),
    )
    heights, found_heights = random.uniform(20, 80, count), random.uniform(20, 80, len(of))
    return RatedFrame(
        truth, found, heights, random.integers(0, 4, count), random.uniform(0, 0.6, count).round(2), found_heights
    )


def _rows(place: NDArray[np.float64], yaws: NDArray[np.float64]) -> list[tuple[float, ...]]:
    return [row(*at, yaw=yaw) for at, yaw in zip(place.tolist(), yaws.tolist(), strict=True)]
