"""From what became of a frame to what is kept of it: the only place where a result meets its truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from perception.bundle.format import CommonDescription
from perception.classes import ClassSet
from perception.data.boxes import chosen, joined, points_inside
from perception.data.drive import DriveFrame
from perception.evaluation.criteria import DetectionCriteria
from perception.evaluation.label_sets import ids_in, label_set_named, label_set_of, truth_table
from perception.evaluation.metrics.bands import DISTANCE_BANDS_M, inside
from perception.evaluation.metrics.confusion import ConfusionMatrix
from perception.evaluation.metrics.detection import DetectionMetrics
from perception.evaluation.outcomes import FrameOutcome
from perception.evaluation.records import BoxesRecord, FrameRecord, LabelsRecord, labels_sha256
from perception.types import DetectedObjects, LabelledCloud

WRONG_LENGTH = "wrong_length"

Ids = NDArray[np.uint8]


class _Task(Protocol):
    """Judges results of one kind."""

    def usable(self, outcome: FrameOutcome) -> bool:
        """Whether the result is one of this frame."""

    def judge(self, frame: DriveFrame, result: Any) -> dict[str, Any]:
        """Give what the record holds of the result."""


@dataclass(frozen=True)
class Judge:
    """Turns the outcomes of one network into records."""

    task: _Task

    @classmethod
    def of_bundle(
        cls,
        description: CommonDescription,
        label_set: str | None = None,
        criteria: DetectionCriteria | None = None,
    ) -> Judge:
        """Prepare to judge a network.

        Args:
            description: of the network.
            label_set: in whose classes labels are judged: semantic_kitti or nuscenes_lidarseg; the network's own by
                default.
            criteria: which objects count.

        Raises:
            ConfigurationError: there is no such label set.
        """
        if description.task == "detection":
            return cls(_BoxesJudge(description.classes, criteria or DetectionCriteria()))
        judged_in = label_set_named(label_set) if label_set else label_set_of(description.classes)
        return cls(_LabelsJudge(judged_in, ids_in(description.classes, judged_in), truth_table(judged_in)))

    def judge(self, outcome: FrameOutcome) -> FrameRecord:
        """Compare a result with its truth, as far as there are both."""
        usable = outcome.result is not None and self.task.usable(outcome)
        return FrameRecord(
            bag=outcome.bag,
            index=outcome.index,
            model=outcome.model,
            stamp_ns=outcome.frame.frame.stamp_ns,
            points=len(outcome.frame.frame.cloud),
            dropped=outcome.dropped or ("" if usable else WRONG_LENGTH),
            stage_ms=dict(outcome.stage_ms),
            **(self.task.judge(outcome.frame, outcome.result) if usable else {}),
        )


@dataclass(frozen=True)
class _LabelsJudge:
    """Labels of points.

    Attributes:
        label_set: in whose classes.
        of_network, of_truth: uint8 [256], their ids there.
    """

    label_set: ClassSet
    of_network: Ids = field(repr=False)
    of_truth: Ids = field(repr=False)

    def usable(self, outcome: FrameOutcome) -> bool:
        return isinstance(outcome.result, LabelledCloud) and len(outcome.result) == len(outcome.frame.frame.cloud)

    def judge(self, frame: DriveFrame, result: LabelledCloud) -> dict[str, Any]:
        sha256 = labels_sha256(result.class_ids)
        if frame.class_ids is None:
            return {"labels": LabelsRecord(sha256=sha256)}
        truth, predicted = self.of_truth[frame.class_ids], self.of_network[result.class_ids]
        matrices = dict(self._by_band(frame.frame.cloud.points, truth, predicted))
        whole = ConfusionMatrix(len(self.label_set))
        for matrix in matrices.values():
            whole.merge(matrix)
        accuracy = whole.accuracy()
        confusion = {name: matrix.triples() for name, matrix in matrices.items()}
        return {
            "labels": LabelsRecord(sha256=sha256, label_set=self.label_set.name, confusion=confusion),
            "quality": None if np.isnan(accuracy) else accuracy,
        }

    def _by_band(
        self, points: NDArray[np.float32], truth: Ids, predicted: Ids
    ) -> Iterator[tuple[str, ConfusionMatrix]]:
        flags = inside(np.hypot(points[:, 0], points[:, 1]), DISTANCE_BANDS_M)
        for band, rows in zip(DISTANCE_BANDS_M, flags.T, strict=True):
            matrix = ConfusionMatrix(len(self.label_set))
            matrix.add(truth[rows], predicted[rows])
            yield band.name, matrix


@dataclass(frozen=True)
class _BoxesJudge:
    """Boxes of objects."""

    classes: tuple[str, ...]
    criteria: DetectionCriteria

    def usable(self, outcome: FrameOutcome) -> bool:
        return isinstance(outcome.result, DetectedObjects)

    def judge(self, frame: DriveFrame, result: DetectedObjects) -> dict[str, Any]:
        points, found = frame.frame.cloud.points, result.boxes
        if frame.objects is None:
            return {"found": BoxesRecord.of(found, points_inside(points, found))}
        counts = points_inside(points, joined([frame.objects, found]))
        truth = BoxesRecord.of(frame.objects, counts[: len(frame.objects)], frame.difficulty)
        record = BoxesRecord.of(found, counts[len(frame.objects) :])
        metrics = DetectionMetrics(self.classes, self.criteria.range_m)
        shown = chosen(found, found.scores >= self.criteria.shown_score)
        metrics.add(frame.objects, shown, truth_counts=self.criteria.count(truth))
        return {"truth": truth, "found": record, "quality": metrics.f1_score()}
