"""What the report's page says of one network, ready for its templates."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perception.bundle.format import CommonDescription
from perception.evaluation.label_sets import label_set_named
from perception.evaluation.latency import WHOLE_WAY
from perception.evaluation.report.charts import Chart, ConfusionCell, confusion_rows, histogram
from perception.evaluation.report.curves import precision_recall
from perception.evaluation.report.frame_pictures import FramePicture
from perception.evaluation.report.series import BagSeries, FrameSeries
from perception.evaluation.report.timeline import timeline
from perception.evaluation.results import DetectionFigures, LatencySummary, ModelResults, SegmentationResults

#: A figure of each band by class; None where a band has no truth of it.
BandTable = Mapping[str, Sequence[float | None]]


@dataclass(frozen=True)
class BagRow:
    """A network's figures of one bag."""

    name: str
    frames: int
    dropped: int
    mean_quality: float | None
    median_ms: float | None

    @classmethod
    def of(cls, name: str, series: BagSeries) -> BagRow:
        """Read them off the bag's frames."""
        median_ms = statistics.median(series.duration_ms) if series.duration_ms else None
        return cls(name, series.frames, series.dropped, series.mean_quality, median_ms)


@dataclass(frozen=True)
class ModelSection:
    """Everything about one network.

    Attributes:
        results: its figures.
        colors: RGB by class name.
        bags: what it did with each bag.
        frames_per_column: how many share a column of the timeline.
        timeline, histogram: of its frames; None where none came out.
        curves: precision over recall; None without detections and truth.
        confusion_columns, confusion_rows: the confusion matrix, without what never occurs.
        worst: pictures.
        worst_by_quality: whether they are the worst rather than the slowest.
    """

    results: ModelResults
    colors: Mapping[str, Sequence[int]]
    bags: Sequence[BagRow]
    frames_per_column: int
    timeline: Chart | None
    histogram: Chart | None
    curves: Chart | None
    confusion_columns: Sequence[str]
    confusion_rows: Sequence[tuple[str, Sequence[ConfusionCell]]]
    worst: Sequence[FramePicture]
    worst_by_quality: bool

    @classmethod
    def of(
        cls,
        results: ModelResults,
        description: CommonDescription,
        series: FrameSeries,
        worst: Sequence[FramePicture],
        by_quality: bool,
    ) -> ModelSection:
        """Lay out what is known of a network."""
        durations_ms = series.duration_ms()
        labels, objects = results.segmentation, results.detection
        columns, rows = confusion_rows(labels.classes, labels.confusion) if labels else ([], [])
        return cls(
            results=results,
            colors=_colors(description, labels),
            bags=[BagRow.of(name, bag) for name, bag in series.bags.items()],
            frames_per_column=series.frames_per_column,
            timeline=timeline(series) if durations_ms else None,
            histogram=histogram(durations_ms) if durations_ms else None,
            curves=precision_recall(objects.curves) if objects and objects.curves else None,
            confusion_columns=columns,
            confusion_rows=rows,
            worst=worst,
            worst_by_quality=by_quality,
        )

    @property
    def latency_name(self) -> str:
        """The stage that stands for a frame's whole way."""
        return next((name for name in WHOLE_WAY if name in self.results.latency_ms), WHOLE_WAY[-1])

    @property
    def latency(self) -> LatencySummary | None:
        """How long a frame's whole way took."""
        return self.results.latency_ms.get(self.latency_name)

    @property
    def iou_by_distance(self) -> BandTable:
        """Mean IoU and IoU of each class that occurs, in each distance band."""
        figures = self.results.segmentation
        if figures is None:
            return {}
        bands = figures.by_distance.values()
        table = {name: [band.iou.get(name) for band in bands] for name in figures.iou}
        return {"mean": [band.mean_iou for band in bands], **table} if bands else {}

    @property
    def precision_by_distance(self) -> BandTable:
        """Mean average precision and that of each class, in each distance band."""
        figures = self.results.detection
        return _precisions(figures, figures.by_distance) if figures else {}

    @property
    def precision_by_points(self) -> BandTable:
        """Mean average precision and that of each class, by the number of points on the object."""
        figures = self.results.detection
        return _precisions(figures, figures.by_points) if figures else {}


def _colors(description: CommonDescription, labels: SegmentationResults | None) -> dict[str, Sequence[int]]:
    """Of the network's own classes, and of those in which it was judged."""
    colors: dict[str, Sequence[int]] = dict(zip(description.classes, description.colors, strict=True))
    if labels is not None:
        judged_in = label_set_named(labels.label_set)
        colors |= dict(zip(judged_in.names, judged_in.colors.tolist(), strict=True))
    return colors


def _precisions(figures: DetectionFigures, bands: Mapping[str, DetectionFigures]) -> BandTable:
    def of_class(name: str) -> list[float | None]:
        found = (band.by_class.get(name) for band in bands.values())
        return [one.average_precision if one else None for one in found]

    mean = [band.mean_average_precision for band in bands.values()]
    return {"mean": mean, **{name: of_class(name) for name in figures.by_class}} if bands else {}
