"""What was right and wrong in frames, and the figures of any number of copies of them."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from perception.evaluation.compare.resampling import Weights
from perception.evaluation.criteria import DetectionCriteria
from perception.evaluation.metrics.confusion import ConfusionMatrix
from perception.evaluation.metrics.detection_resampling import DrawnDetectionMetrics
from perception.evaluation.records import FrameRecord
from perception.evaluation.results import DetectionResults
from perception.types import Boxes3D

_NO_BOXES = Boxes3D(
    np.empty((0, 3), np.float32),
    np.empty((0, 3), np.float32),
    np.empty(0, np.float32),
    (),
    np.empty(0, np.float32),
    np.empty((0, 2), np.float32),
)


class LabelSamples:
    """How points were labelled."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        """Start with no frames."""
        self._classes = classes
        self._counts: list[NDArray[np.float64]] = []

    def add(self, record: FrameRecord) -> None:
        """Add a frame; one without truth or result counts nothing."""
        matrix = ConfusionMatrix(len(self._classes))
        confusion = record.labels.confusion if record.labels and not record.dropped else None
        for triples in (confusion or {}).values():
            matrix.add_triples(triples)
        self._counts.append(np.column_stack([matrix.counts, matrix.unlabelled]).astype(np.float64))

    def figures(self, weights: Weights) -> dict[str, float]:
        """Give accuracy and intersection over union."""
        matrix = ConfusionMatrix.of_counts((weights @ self._all_counts).reshape(len(self._classes), -1))
        by_class = {f"IoU.{name}": float(iou) for name, iou in zip(self._classes, matrix.iou(), strict=True)}
        return {"mIoU": matrix.mean_iou(), "accuracy": matrix.accuracy(), **by_class}

    @cached_property
    def _all_counts(self) -> NDArray[np.float64]:
        # Products of floating point numbers are many times faster, and exact up to 2**53 points.
        return np.stack(self._counts).reshape(len(self._counts), -1)


class ObjectSamples:
    """How objects were found."""

    def __init__(self, results: DetectionResults) -> None:
        """Start with no frames; what counts is what counted in the results."""
        self._criteria = DetectionCriteria(range_m=results.range_m, least_points=results.least_points)
        self._metrics = DrawnDetectionMetrics(tuple(results.by_class), results.range_m)

    def add(self, record: FrameRecord) -> None:
        """Add a frame; one without truth or result counts nothing."""
        if record.truth is None or record.found is None or record.dropped:
            self._metrics.add(_NO_BOXES, _NO_BOXES)
            return
        enough = self._criteria.count(record.truth)
        self._metrics.add(record.truth.boxes(), record.found.boxes(), truth_counts=enough)

    def figures(self, weights: Weights) -> dict[str, float]:
        """Give precisions, errors, and the detection score."""
        metrics = self._metrics
        metrics.draw(weights)
        precisions = zip(metrics.class_names, metrics.average_precisions().mean(axis=1).tolist(), strict=True)
        return {
            "mAP": metrics.mean_average_precision(),
            "NDS": metrics.detection_score(),
            **{f"AP.{name}": precision for name, precision in precisions},
            **{f"error.{kind}": error for kind, error in metrics.mean_errors().items()},
        }
