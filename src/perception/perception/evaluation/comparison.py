"""Compare what a network said about the frames of a drive with the truth, by stamp."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from perception.classes import IGNORED, SEMANTIC_KITTI_CLASSES, SEMANTIC_KITTI_COLORS
from perception.data.drive import DriveFrame
from perception.evaluation.metrics.confusion import ConfusionMatrix
from perception.evaluation.report.panels import LabelledScan


@dataclass
class Comparison:
    """What came out for the frames of one drive or more.

    Attributes:
        matrix: truth against prediction, in SemanticKITTI's classes.
        published: frames of the drive.
        accuracies: stamp in nanoseconds of each labelled frame -> its share of points labelled right, NaN where the
            frame has no truth.
        wrong_length: results that do not have one label a point.
    """

    matrix: ConfusionMatrix = field(default_factory=lambda: ConfusionMatrix(len(SEMANTIC_KITTI_CLASSES)))
    published: int = 0
    accuracies: dict[int, float] = field(default_factory=dict)
    wrong_length: int = 0

    @property
    def labelled(self) -> int:
        """Frames that came out with one label a point."""
        return len(self.accuracies)

    @property
    def compared(self) -> int:
        """Labelled frames with a truth."""
        return sum(not np.isnan(accuracy) for accuracy in self.accuracies.values())

    def add(self, frame: DriveFrame, class_ids: NDArray[np.uint8] | None) -> None:
        """Count one frame; `class_ids` in SemanticKITTI's classes, None where no result came out."""
        self.published += 1
        if class_ids is None:
            return
        if len(class_ids) != len(frame.frame.cloud):
            self.wrong_length += 1
            return
        of_frame = ConfusionMatrix(self.matrix.class_count)
        if frame.class_ids is not None:
            of_frame.add(frame.class_ids, class_ids)
        self.matrix.merge(of_frame)
        self.accuracies[frame.frame.stamp_ns] = of_frame.accuracy()

    def typical_stamp_ns(self) -> int | None:
        """The stamp of the labelled frame whose accuracy is the median: neither the best to show nor the worst."""
        ranked = sorted(self.accuracies, key=lambda stamp_ns: (self.accuracies[stamp_ns], stamp_ns))
        return ranked[len(ranked) // 2] if ranked else None


def compare(
    frames: Iterable[DriveFrame], labels: Mapping[int, NDArray[np.uint8]], classes: tuple[str, ...]
) -> Comparison:
    """Compare a drive with the labels that its frames were given.

    Args:
        frames: the drive.
        labels: stamp in nanoseconds -> uint8 [N], ids in the network's classes.
        classes: the network's class names; one that SemanticKITTI does not have counts as no label.
    """
    table = _to_semantic_kitti(classes)
    comparison = Comparison()
    for frame in frames:
        class_ids = labels.get(frame.frame.stamp_ns)
        comparison.add(frame, None if class_ids is None else table[class_ids])
    return comparison


def labelled_scan(
    title: str, frame: DriveFrame, class_ids: NDArray[np.uint8], classes: tuple[str, ...]
) -> LabelledScan:
    """A frame with its labels (ids in the network's `classes`), ready to be drawn in SemanticKITTI's colours."""
    return LabelledScan(
        title,
        frame.frame.cloud.points,
        frame.class_ids,
        _to_semantic_kitti(classes)[class_ids],
        SEMANTIC_KITTI_CLASSES,
        SEMANTIC_KITTI_COLORS,
    )


def _to_semantic_kitti(classes: tuple[str, ...]) -> NDArray[np.uint8]:
    table = np.full(256, IGNORED, np.uint8)
    for class_id, name in enumerate(classes):
        if name in SEMANTIC_KITTI_CLASSES:
            table[class_id] = SEMANTIC_KITTI_CLASSES.index(name)
    return table
