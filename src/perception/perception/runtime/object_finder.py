"""From a cloud's points to boxes: what surrounds a detector when it is deployed, timed stage by stage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from perception.bundle.detection import MapDetectorSettings
from perception.bundle.format import DetectionDescription
from perception.runtime.detections import (
    boxes_of,
    find_candidates,
    no_candidates,
    points_in_range,
    split_maps,
    suppress,
)
from perception.runtime.place import HOST, Place
from perception.runtime.timing import StageTimer
from perception.types import Boxes3D, DetectedObjects, Frame, PointCloud

#: A detector: the maps of its head, float [1, channels, H, W], from points float32 [N, C]; where it runs.
ComputeMaps: TypeAlias = Callable[[Any, StageTimer], Any]

WARM_UP_POINTS = 20_000


class ObjectFinder:
    """Finds the objects of a cloud with a detector.

    Args:
        compute_maps: the detector.
        description: of its bundle.
        place: where it runs.
        threads: CPU threads, all by default.
    """

    def __init__(
        self,
        compute_maps: ComputeMaps,
        description: DetectionDescription,
        place: Place = HOST,
        threads: int | None = None,
    ) -> None:
        self._compute_maps = compute_maps
        self._description = description
        self._place = place
        self._threads = threads

    def find(self, points: NDArray[np.float32], timer: StageTimer) -> Boxes3D:
        """Find objects.

        Args:
            points: float32 [N, C], x, y, z in metres, then further features; N may be 0; may be a read-only strided
                view.
            timer: takes the time of each stage.

        Raises:
            ValueError: a value is NaN or infinite.
        """
        description = self._description
        with timer.stage("points"):
            inside = self._choose(points)
            given = self._place.upload(inside) if len(inside) else None
        if given is None:
            return boxes_of(no_candidates(), description.classes)
        maps = self._compute_maps(given, timer)
        with timer.stage("boxes"):
            parts = split_maps(maps, len(description.classes))
            reading = (description.network, description.decoding, self._place.download, self._threads)
            candidates = find_candidates(parts, *reading)[0]
            return boxes_of(suppress(candidates, description.decoding, self._threads), description.classes)

    def _choose(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """The points that the network takes."""
        if not np.isfinite(points).all():
            raise ValueError("points hold NaN or infinite values; remove them first")
        inside = points_in_range(points, self._description.network.range_m)  # a copy
        for column in self._description.squashed_columns:
            np.tanh(inside[:, column], out=inside[:, column])
        capacity = self._description.capacity_points
        if len(inside) <= capacity:
            return inside
        return inside[np.arange(capacity) * len(inside) // capacity]


def find_in_frame(finder: ObjectFinder, frame: Frame, channels: int, timer: StageTimer) -> DetectedObjects:
    """Find the objects of a frame, as `perception.runtime.Engine.forward` says.

    Args:
        finder: of the network.
        frame: its points are float32 [N, channels].
        channels: that the network takes.
        timer: takes the time of each stage.

    Raises:
        ValueError: the cloud has other columns or another type, or holds non-finite values.
    """
    points = frame.cloud.points
    if points.ndim != 2 or points.shape[1] != channels or points.dtype != np.float32:
        raise ValueError(f"points are {points.dtype} {list(points.shape)}, expected float32 [N, {channels}]")
    return DetectedObjects(finder.find(points, timer), timer.stage_ms)


def made_up_points(network: MapDetectorSettings) -> Frame:
    """A frame to warm up with, which fills about as many pillars as a sweep."""
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 1, (WARM_UP_POINTS, network.point_channels)).astype(np.float32)
    low, high = np.array(network.range_m[:3]), np.array(network.range_m[3:])
    points[:, :3] = low + points[:, :3] * (high - low)
    return Frame(PointCloud(points))
