"""Bands of distance and of numbers of points, by which figures are told apart.

Metrics of boxes take bands as groups and see every box in each: objects of other bands need not be found there, and a
detection that takes one of them is left out, so that the border between bands makes neither misses nor false alarms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perception.types import Boxes3D

Flags = NDArray[np.bool_]


class Band(NamedTuple):
    """Values from `least` on and less than `below`."""

    name: str
    least: float
    below: float = np.inf


#: Distance of the centre from the origin, seen from above.
DISTANCE_BANDS_M = (Band("0-20 m", 0, 20), Band("20-40 m", 20, 40), Band("40+ m", 40))
#: LiDAR points in the box (`perception.data.boxes.points_inside`); objects without any are in no band.
POINT_BANDS = (
    Band("1-4 points", 1, 5),
    Band("5-19 points", 5, 20),
    Band("20-99 points", 20, 100),
    Band("100+ points", 100),
)


def distances_m(boxes: Boxes3D) -> NDArray[np.float32]:
    """Distance of every centre from the origin, seen from above: float32 [M]."""
    distances: NDArray[np.float32] = np.hypot(boxes.centers[:, 0], boxes.centers[:, 1])
    return distances


def inside(values: ArrayLike, bands: Sequence[Band]) -> Flags:
    """Tell in which band each value is, bool [M, B]; NaN and what lies below all is in none."""
    column = np.asarray(values, np.float64)[:, None]
    return (column >= [band.least for band in bands]) & (column < [band.below for band in bands])


def inside_or_lowest(values: ArrayLike, bands: Sequence[Band]) -> Flags:
    """Tell in which band each value is, bool [M, B]; what lies below all is in the lowest."""
    return inside(np.maximum(values, min(band.least for band in bands)), bands)
