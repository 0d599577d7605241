"""From records of labelled clouds to figures."""

from __future__ import annotations

from typing import Any

from perception.configuration import ConfigurationError
from perception.evaluation.label_sets import label_set_named
from perception.evaluation.metrics.bands import DISTANCE_BANDS_M
from perception.evaluation.metrics.confusion import ConfusionMatrix
from perception.evaluation.records import FrameRecord
from perception.evaluation.results import SegmentationFigures, SegmentationResults


class SegmentationSummary:
    """Labelled clouds of one network, as many as are added."""

    def __init__(self) -> None:
        self._label_set = ""
        self._bands: dict[str, ConfusionMatrix] = {}
        self._frames = 0

    def add(self, record: FrameRecord) -> None:
        """Add a frame; one without truth adds nothing.

        Raises:
            ConfigurationError: it was judged in other classes than the one before, or in unknown ones.
        """
        if record.labels is None or record.labels.confusion is None:
            return
        if not self._bands:
            self._label_set = record.labels.label_set
            classes = label_set_named(self._label_set)
            self._bands = {band.name: ConfusionMatrix(len(classes)) for band in DISTANCE_BANDS_M}
        if record.labels.label_set != self._label_set:
            raise ConfigurationError(
                f"{record.model}: frames are judged in {self._label_set} and in {record.labels.label_set}; "
                "evaluate all with one --label-set"
            )
        for band, triples in record.labels.confusion.items():
            self._bands[band].add_triples(triples)
        self._frames += 1

    def results(self) -> SegmentationResults | None:
        """Give the figures; None when no frame had a truth."""
        if not self._frames:
            return None
        names = label_set_named(self._label_set).names
        whole = ConfusionMatrix(len(names))
        for matrix in self._bands.values():
            whole.merge(matrix)
        return SegmentationResults(
            **_figures(whole, names),
            label_set=self._label_set,
            classes=names,
            confusion=tuple(map(tuple, whole.counts.tolist())),
            frames=self._frames,
            by_distance={band: SegmentationFigures(**_figures(one, names)) for band, one in self._bands.items()},
        )


def _figures(matrix: ConfusionMatrix, names: tuple[str, ...]) -> dict[str, Any]:
    occurring = [(name, number) for number, name in enumerate(names) if matrix.occurs[number]]
    iou, points = matrix.iou(), matrix.truth_points
    return {
        "mean_iou": matrix.mean_iou() if occurring else None,
        "accuracy": matrix.accuracy() if occurring else None,
        "iou": {name: float(iou[number]) for name, number in occurring},
        "points": {name: int(points[number]) for name, number in occurring},
    }
