"""How well points were labelled: confusion matrix, intersection over union, accuracy."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perception.classes import IGNORED


class ConfusionMatrix:
    """Counts how often each true class was given each label, over as many frames as are added.

    A point whose true class is IGNORED is not counted at all. A point that has a true class but was left unlabelled
    (predicted IGNORED) is an error of its true class and of no other, as in the SemanticKITTI benchmark's own tool.

    Attributes:
        counts: int64 [C, C], truth in rows, prediction in columns.
        unlabelled: int64 [C], points of each true class that were given no label.
    """

    def __init__(self, class_count: int) -> None:
        if not 1 <= class_count <= IGNORED:
            raise ValueError(f"class_count is {class_count}, expected 1 to {IGNORED}")
        self.class_count = class_count
        self._counts = np.zeros((class_count, class_count + 1), np.int64)

    @classmethod
    def of_counts(cls, counts: ArrayLike) -> ConfusionMatrix:
        """Make one of [C, C + 1] counts: truth in rows, prediction in columns, last of all the unlabelled points."""
        matrix = cls(len(np.asarray(counts)))
        matrix._counts += np.asarray(counts, np.int64).reshape(matrix._counts.shape)
        return matrix

    @property
    def counts(self) -> NDArray[np.int64]:
        """int64 [C, C], truth in rows, prediction in columns."""
        return self._counts[:, :-1]

    @property
    def unlabelled(self) -> NDArray[np.int64]:
        """int64 [C], points of each true class that were given no label."""
        return self._counts[:, -1]

    def add(self, truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> None:
        """Add one frame: class ids, uint8 [N] each, 0..C-1 or IGNORED.

        Raises:
            ValueError: different lengths, or an id that is neither a class nor IGNORED.
        """
        if truth.shape != predicted.shape or truth.ndim != 1:
            raise ValueError(f"truth has shape {truth.shape} and prediction {predicted.shape}, expected [N] and [N]")
        self._check_ids(truth, "truth")
        self._check_ids(predicted, "prediction")
        counted = truth != IGNORED
        rows = truth[counted].astype(np.int64)
        columns = np.minimum(predicted[counted], self.class_count).astype(np.int64)
        cells = np.bincount(rows * (self.class_count + 1) + columns, minlength=self._counts.size)
        self._counts += cells.reshape(self._counts.shape)

    def _check_ids(self, ids: NDArray[np.uint8], name: str) -> None:
        wrong = (ids >= self.class_count) & (ids != IGNORED)
        if wrong.any():
            raise ValueError(f"{name} holds class id {ids[wrong][0]}, expected 0..{self.class_count - 1} or {IGNORED}")

    def triples(self) -> tuple[tuple[int, int, int], ...]:
        """Give what was counted as (true class, predicted class or IGNORED, points), without zeros."""
        rows, columns = np.nonzero(self._counts)
        labels = np.where(columns < self.class_count, columns, IGNORED)
        points = self._counts[rows, columns]
        return tuple(zip(rows.tolist(), labels.tolist(), points.tolist(), strict=True))

    def add_triples(self, triples: Iterable[tuple[int, int, int]]) -> None:
        """Add what another matrix of the same classes gave as `triples`.

        Raises:
            ValueError: a class is not one of these.
        """
        for truth, label, points in triples:
            column = self.class_count if label == IGNORED else label
            if not (0 <= truth < self.class_count and 0 <= column <= self.class_count):
                raise ValueError(f"classes {truth} and {label} are none of {self.class_count}")
            self._counts[truth, column] += points

    def merge(self, other: ConfusionMatrix) -> None:
        """Add everything that another matrix of the same classes has counted."""
        if other.class_count != self.class_count:
            raise ValueError(f"cannot merge {other.class_count} classes into {self.class_count}")
        self._counts += other._counts

    @property
    def truth_points(self) -> NDArray[np.int64]:
        """int64 [C], counted points of each true class."""
        return self._counts.sum(axis=1)

    @property
    def predicted_points(self) -> NDArray[np.int64]:
        """int64 [C], counted points that were given each label."""
        return self.counts.sum(axis=0)

    @property
    def occurs(self) -> NDArray[np.bool_]:
        """Whether each class occurs in the truth, bool [C]."""
        return self.truth_points > 0

    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each class, float64 [C]; NaN where the class does not occur in the truth."""
        hits = np.diagonal(self.counts)
        union = self.truth_points + self.predicted_points - hits
        return np.divide(hits, union, out=np.full(self.class_count, np.nan), where=self.occurs)

    def mean_iou(self) -> float:
        """Mean IoU over the classes that occur in the truth; NaN when nothing was counted.

        A label given to points although its class never occurs lowers the IoU of the classes that lost those points,
        and adds no zero of its own. SemanticKITTI's benchmark averages over all 19 classes because all of them occur
        in its test set, where the two definitions agree. nuScenes' challenge averages over the classes that occur in
        the truth or in a label, which agrees too wherever all 16 occur; it accepts no unlabelled point.
        """
        return float(self.iou()[self.occurs].mean()) if self.occurs.any() else float("nan")

    def accuracy(self) -> float:
        """The share of counted points with the right label; NaN when nothing was counted."""
        total = int(self._counts.sum())
        return float(np.trace(self.counts)) / total if total else float("nan")
