"""How well a bird's-eye-view map was drawn, as BEVFusion's evaluation has it: IoU at the best threshold of each class.

Source: Liu et al., "BEVFusion: multi-task multi-sensor fusion with unified bird's-eye view representation", ICRA 2023,
section 4.2. Classes may overlap, so each has scores of its own; a cell belongs to a class from a threshold of its score
on, hits and mistakes are added up over all frames, and each class has the threshold that serves it best.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = (0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65)


class BestIou(NamedTuple):
    """Of a class: its IoU, NaN where the class does not occur in the truth, and the threshold that gives it."""

    iou: float
    threshold: float


class MapMetrics:
    """Maps of as many frames as are added."""

    def __init__(self, class_names: Sequence[str], thresholds: Sequence[float] = THRESHOLDS) -> None:
        """Start with no frames."""
        self.class_names, self.thresholds = tuple(class_names), tuple(thresholds)
        self._counts = np.zeros((3, len(self.class_names), len(self.thresholds)), np.int64)
        self.frames = 0

    def add(self, truth: NDArray[np.bool_], scores: NDArray[np.floating[Any]]) -> None:
        """Add one frame.

        Args:
            truth: bool [C, H, W], whether each cell belongs to each class.
            scores: float [C, H, W], 0..1.

        Raises:
            ValueError: different shapes, or another number of classes.
        """
        if truth.shape != scores.shape or truth.ndim != 3 or len(truth) != len(self.class_names):
            raise ValueError(f"expected two maps [{len(self.class_names)}, H, W], found {truth.shape}, {scores.shape}")
        of_truth = truth.astype(bool)
        for column, threshold in enumerate(self.thresholds):
            drawn = scores >= threshold
            cells = (of_truth & drawn, drawn & ~of_truth, of_truth & ~drawn)
            self._counts[:, :, column] += [one.sum(axis=(1, 2)) for one in cells]
        self.frames += 1

    def merge(self, other: MapMetrics) -> None:
        """Add everything that metrics of the same classes and thresholds have seen."""
        if (other.class_names, other.thresholds) != (self.class_names, self.thresholds):
            raise ValueError(f"cannot merge metrics of {other.class_names} into those of {self.class_names}")
        self._counts += other._counts
        self.frames += other.frames

    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each class at each threshold, float64 [C, T].

        NaN where the class does not occur in the truth; BEVFusion's own evaluation has 0 there.
        """
        hits, alarms, misses = self._counts
        occurs = hits + misses > 0
        return np.divide(hits, hits + alarms + misses, out=np.full(hits.shape, np.nan), where=occurs)

    def best(self) -> dict[str, BestIou]:
        """Give each class its best IoU, at the lowest threshold that reaches it."""
        rows = zip(self.class_names, self.iou(), strict=True)
        places = [(name, row, int(np.nan_to_num(row, nan=-1.0).argmax())) for name, row in rows]
        return {name: BestIou(float(row[place]), self.thresholds[place]) for name, row, place in places}

    def mean_iou(self) -> float:
        """Mean of the best IoU of the classes that occur in the truth; NaN where none does."""
        values = [best.iou for best in self.best().values() if not np.isnan(best.iou)]
        return float(np.mean(values)) if values else float("nan")
