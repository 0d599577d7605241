"""The engine of detectors, and what surrounds networks of every task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from perception.bundle.format import BundleDescription, CommonDescription, DetectionDescription
from perception.ops.arrays import Array
from perception.runtime.native import GraphRunner, NativeEngine, make_labeller
from perception.runtime.object_finder import ObjectFinder, find_in_frame, made_up_points
from perception.runtime.place import HOST, Place
from perception.runtime.timing import StageTimer
from perception.types import DetectedObjects, Frame

#: What a network is used for: points float32 [N, C] and a timer in, its results out.
Use: TypeAlias = Callable[[NDArray[np.float32], StageTimer], Any]


class NativeDetectionEngine(NativeEngine[DetectionDescription, DetectedObjects]):
    """Finds the objects of a frame; the points of its frames have `description.network.point_channels` columns."""

    def forward(self, frame: Frame) -> DetectedObjects:
        """Find the objects of a frame; see `perception.runtime.Engine.forward`."""
        finder = make_finder(self.executor, self.description, self._threads, self._place)
        return find_in_frame(finder, frame, self.description.network.point_channels, self._place.timer())

    def made_up_frame(self) -> Frame:
        """A frame to warm up with."""
        return made_up_points(self.description.network)


def make_finder(
    executor: GraphRunner, description: DetectionDescription, threads: int | None = None, place: Place = HOST
) -> ObjectFinder:
    """Surround a detector's graph with what comes before and after it."""

    def compute_maps(points: Array, timer: StageTimer) -> Array:
        return executor.run({"points": points}, timer)["maps"]

    return ObjectFinder(compute_maps, description, place, threads)


def surround(executor: GraphRunner, description: CommonDescription, threads: int | None = None) -> Use:
    """Surround a graph on the CPU with what its network's task asks for."""
    if isinstance(description, DetectionDescription):
        return make_finder(executor, description, threads).find
    assert isinstance(description, BundleDescription)
    return make_labeller(executor, description, threads).label
