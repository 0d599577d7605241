"""Detection metrics of frames drawn with replacement: matched and sorted once, however often they are drawn.

Which object a detection takes is a matter of its own frame, and its place among all a matter of its score: copies of a
frame only stand beside each other. So what comes out is exactly what metrics of that many copies would say, but for the
order of equal scores of different detections, which nuScenes leaves to the order of the frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception.evaluation.metrics.detection import DetectionMetrics
from perception.evaluation.metrics.detection_curves import (
    Curve,
    Flags,
    Floats,
    curve_of_ranked,
    error_curves_of_ranked,
)
from perception.evaluation.metrics.detection_matching import (
    ERROR_COLUMN,
    ERROR_DISTANCE_M,
    best_first,
)
from perception.types import Boxes3D


class _Ranked(NamedTuple):
    """Hits and false alarms of a class at a distance, best first: [N], and the errors of the hits, [H, 4]."""

    scores: NDArray[np.float32]
    hits: Flags
    frames: NDArray[np.int64]
    errors: Floats


class DrawnDetectionMetrics(DetectionMetrics):
    """Detection metrics whose frames occur as often as `draw` says; once before the first time.

    All frames are to be added before the first figure is asked for.
    """

    def __init__(self, class_names: Sequence[str], range_m: float | Mapping[str, float] = 50.0) -> None:
        """Start with no frames; arguments as of `DetectionMetrics`."""
        super().__init__(class_names, range_m)
        self._frame_objects: list[NDArray[np.int64]] = []
        self._frame_detections: list[int] = []
        self._drawn: NDArray[np.int64] | None = None
        self._ranked: dict[tuple[str, float], _Ranked] = {}
        self._curves: dict[tuple[str, float], Curve] = {}
        self._precisions: Floats | None = None
        self._errors: dict[str, Floats] | None = None

    def add(self, truth: Boxes3D, found: Boxes3D, **counts: Any) -> None:
        """Add one frame, as `DetectionMetrics.add`."""
        objects, parts = self._objects[:, 0].copy(), len(self._parts)
        super().add(truth, found, **counts)
        self._frame_objects.append(self._objects[:, 0] - objects)
        self._frame_detections.append(sum(len(part.scores) for part in self._parts[parts:]))

    def draw(self, weights: NDArray[np.int64]) -> None:
        """Say how often each frame occurs, int64 [F]."""
        self._drawn = weights
        self._objects = (weights @ np.reshape(self._frame_objects, (-1, len(self.class_names))))[:, None]
        self._curves.clear()
        self._precisions = self._errors = None

    def curve(self, name: str, distance_m: float) -> Curve:
        """Read precision and score of a class at one of `DISTANCES_M`."""
        if (name, distance_m) not in self._curves:
            ranked = self._of_rank(name, distance_m)
            rows = self._rows(ranked.frames)
            curve = curve_of_ranked(ranked.scores[rows], ranked.hits[rows], self.objects(name))
            self._curves[name, distance_m] = curve
        return self._curves[name, distance_m]

    def error_curves(self, name: str) -> Floats:
        """Mean of each error over the matches within 2 m up to each level of recall: float64 [4, 101]."""
        ranked = self._of_rank(name, ERROR_DISTANCE_M)
        rows = self._rows(ranked.frames[ranked.hits])
        curve = self.curve(name, ERROR_DISTANCE_M)
        return error_curves_of_ranked(curve, ranked.scores[ranked.hits][rows], ranked.errors[rows])

    def average_precisions(self) -> Floats:
        """As of `DetectionMetrics`; kept until the next draw, since other figures are made from it."""
        if self._precisions is None:
            self._precisions = super().average_precisions()
        return self._precisions

    def errors(self) -> dict[str, Floats]:
        """As of `DetectionMetrics`; kept likewise."""
        if self._errors is None:
            self._errors = super().errors()
        return self._errors

    def _rows(self, frames: NDArray[np.int64]) -> NDArray[np.intp]:
        rows = np.arange(len(frames))
        return rows if self._drawn is None else np.repeat(rows, self._drawn[frames])

    def _of_rank(self, name: str, distance_m: float) -> _Ranked:
        if (name, distance_m) not in self._ranked:
            of_class, hits, kept = self._counted(name, distance_m)
            order = np.flatnonzero(kept)[best_first(of_class.scores[kept])]
            errors = np.full((len(hits), of_class.errors.shape[1]), np.nan)
            errors[of_class.taken[:, ERROR_COLUMN] > 0] = of_class.errors
            self._ranked[name, distance_m] = _Ranked(
                of_class.scores[order], hits[order], self._frames_of(name)[order], errors[order][hits[order]]
            )
        return self._ranked[name, distance_m]

    def _frames_of(self, name: str) -> NDArray[np.int64]:
        """The frame of each detection of a class, in the order in which they were added."""
        frames = np.repeat(np.arange(len(self._frame_detections)), self._frame_detections)
        return frames[self._whole().classes == self.class_names.index(name)]
