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
    NO_CURVE,
    Curve,
    Floats,
    curve_through,
    error_curves_of_ranked,
)
from perception.evaluation.metrics.detection_matching import (
    ERROR_COLUMN,
    ERROR_DISTANCE_M,
    best_first,
)
from perception.types import Boxes3D


class _Ranked(NamedTuple):
    """Hits and false alarms of a class at a distance, best first.

    Attributes:
        scores: float64 [N].
        frames: int64 [N].
        hits: int64 [H], rows of the hits.
        errors: float64 [H, 4], of the hits.
    """

    scores: Floats
    frames: NDArray[np.int64]
    hits: NDArray[np.intp]
    errors: Floats

    def curve(self, weights: NDArray[np.int64], objects: int) -> Curve:
        """Read precision and score where each frame occurs so often, int64 [F].

        A curve is straight from what comes just before a hit to the hit: it needs no other points but its end.
        """
        drawn = weights[self.frames]
        places, times = np.cumsum(drawn), drawn[self.hits]
        found = np.arange(1, times.sum() + 1)
        if not len(found):
            return NO_CURVE
        false_alarms = np.repeat(places[self.hits] - np.cumsum(times), times)
        before = found - 1 + false_alarms
        # The first detection of all, if a hit, has none before it.
        begin = int(before[0] == 0)
        recall = _woven(found - 1, found, found[-1]) / objects
        precision = _woven((found - 1) / np.maximum(before, 1), found / (before + 1), found[-1] / places[-1])
        # The row of the detection at each place: the first at which so many have been drawn.
        score = self.scores[np.searchsorted(places, _woven(np.maximum(before, 1), before + 1, places[-1]))]
        return curve_through(recall[begin:], precision[begin:], score[begin:])


def _woven(before: NDArray[Any], after: NDArray[Any], last: Any) -> NDArray[Any]:
    """One of the first, one of the second, and so on, and the last: [2 N + 1]."""
    return np.append(np.column_stack([before, after]).ravel(), last)


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
            curve = self._of_rank(name, distance_m).curve(self._weights(), self.objects(name))
            self._curves[name, distance_m] = curve
        return self._curves[name, distance_m]

    def error_curves(self, name: str) -> Floats:
        """Mean of each error over the matches within 2 m up to each level of recall: float64 [4, 101]."""
        ranked = self._of_rank(name, ERROR_DISTANCE_M)
        rows = np.repeat(np.arange(len(ranked.hits)), self._weights()[ranked.frames[ranked.hits]])
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

    def _weights(self) -> NDArray[np.int64]:
        return np.ones(self.frames, np.int64) if self._drawn is None else self._drawn

    def _of_rank(self, name: str, distance_m: float) -> _Ranked:
        if (name, distance_m) not in self._ranked:
            of_class, hits, kept = self._counted(name, distance_m)
            order = np.flatnonzero(kept)[best_first(of_class.scores[kept])]
            errors = np.full((len(hits), of_class.errors.shape[1]), np.nan)
            errors[of_class.taken[:, ERROR_COLUMN] > 0] = of_class.errors
            rows = np.flatnonzero(hits[order])
            scores = of_class.scores[order].astype(np.float64)
            self._ranked[name, distance_m] = _Ranked(scores, self._frames_of(name)[order], rows, errors[order][rows])
        return self._ranked[name, distance_m]

    def _frames_of(self, name: str) -> NDArray[np.int64]:
        """The frame of each detection of a class, in the order in which they were added."""
        frames = np.repeat(np.arange(len(self._frame_detections)), self._frame_detections)
        return frames[self._whole().classes == self.class_names.index(name)]
