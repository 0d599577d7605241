"""Any metric of detections by distance, by number of points, or by any other number that boxes have.

Each band has metrics of its own, which see every box: objects of other bands need not be found there, and a detection
that takes one of them is left out, so that the border between bands makes neither misses nor false alarms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perception.types import Boxes3D


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


class CountingMetrics(Protocol):
    """Metrics that are told which boxes count: `DetectionMetrics`, `KittiMetrics`."""

    @property
    def add(self) -> Callable[..., None]:
        """Take truth, found, and the keywords truth_counts and found_counts."""


Flags = NDArray[np.bool_]
Metrics = TypeVar("Metrics", bound=CountingMetrics)


class BandedMetrics(Generic[Metrics]):
    """The same metrics for each band.

    Attributes:
        metrics: of each band, by its name.
    """

    def __init__(self, bands: Sequence[Band], make: Callable[[], Metrics]) -> None:
        """Start with no frames; `make` gives metrics without any."""
        self.bands = tuple(bands)
        self.metrics = {band.name: make() for band in bands}

    def add(
        self, truth: Boxes3D, found: Boxes3D, truth_values: ArrayLike, found_values: ArrayLike, **more: Any
    ) -> None:
        """Add one frame.

        Args:
            truth: M objects.
            found: N detections.
            truth_values: [M], what the bands divide by. An object in no band is never missed.
            found_values: [N]. Less than all bands is in the lowest: a detection without points is a false alarm there.
            more: what the metrics take besides, such as the levels of KITTI.
        """
        of_truth, of_found = inside(truth_values, self.bands), inside_or_lowest(found_values, self.bands)
        for column, band in enumerate(self.bands):
            flags = {"truth_counts": of_truth[:, column], "found_counts": of_found[:, column]}
            self.metrics[band.name].add(truth, found, **flags, **more)


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
