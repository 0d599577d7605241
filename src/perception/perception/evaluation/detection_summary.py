"""From records of found boxes to figures."""

from __future__ import annotations

from typing import Any

import numpy as np

from perception.evaluation.criteria import DetectionCriteria
from perception.evaluation.metrics.bands import DISTANCE_BANDS_M, POINT_BANDS, distances_m, inside, inside_or_lowest
from perception.evaluation.metrics.detection import MEANINGLESS, DetectionMetrics
from perception.evaluation.metrics.detection_matching import DISTANCES_M, ERROR_DISTANCE_M, ERRORS
from perception.evaluation.metrics.kitti import VIEWS, KittiMetrics
from perception.evaluation.metrics.kitti_levels import LEVELS
from perception.evaluation.records import BoxesRecord, FrameRecord
from perception.evaluation.results import ClassFigures, DetectionFigures, DetectionResults, PrecisionRecall

#: The level of objects of which no difficulty is known.
ALL_LEVELS = ("all",)
#: The groups of the metrics: everything, then the bands.
FIRST_DISTANCE, FIRST_POINTS = 1, 1 + len(DISTANCE_BANDS_M)


class DetectionSummary:
    """Found boxes of one network in as many frames as are added."""

    def __init__(self, classes: tuple[str, ...], criteria: DetectionCriteria) -> None:
        """Start with no frames; objects of classes that the network does not know are left out."""
        self._criteria = criteria
        groups = FIRST_POINTS + len(POINT_BANDS)
        self._metrics = DetectionMetrics(classes, criteria.range_m, groups)
        self._kitti: KittiMetrics | None = None

    def add(self, record: FrameRecord) -> None:
        """Add a frame; one without truth adds nothing."""
        if record.truth is None or record.found is None:
            return
        truth, found, enough = record.truth.boxes(), record.found.boxes(), self._criteria.count(record.truth)
        near, near_found = (distances_m(boxes) < self._criteria.range_m for boxes in (truth, found))
        truth_distances = inside(distances_m(truth), DISTANCE_BANDS_M) & enough[:, None]
        found_distances = inside(distances_m(found), DISTANCE_BANDS_M)
        truth_points = inside(record.truth.points, POINT_BANDS)
        found_points = inside_or_lowest(record.found.points, POINT_BANDS)
        self._metrics.add(
            truth,
            found,
            truth_counts=np.column_stack([enough, truth_distances, truth_points]),
            found_counts=np.column_stack([np.ones(len(found), bool), found_distances, found_points]),
        )
        self._kitti_of(record.truth).add(
            truth, found, truth_levels=record.truth.difficulty, truth_counts=enough & near, found_counts=near_found
        )

    def results(self) -> DetectionResults | None:
        """Give the figures; None when no frame had a truth."""
        metrics = self._metrics
        if not metrics.frames:
            return None
        return DetectionResults(
            **_figures(metrics),
            nuscenes_detection_score=_known(metrics.detection_score()),
            errors={kind: _known(value) for kind, value in metrics.mean_errors().items()},
            range_m=self._criteria.range_m,
            least_points=self._criteria.least_points,
            frames=metrics.frames,
            curves={name: _curve(metrics, name) for name in _occurring(metrics)},
            by_distance=self._by_band(FIRST_DISTANCE, DISTANCE_BANDS_M),
            by_points=self._by_band(FIRST_POINTS, POINT_BANDS),
            kitti={} if self._kitti is None else _kitti_figures(self._kitti),
        )

    def _kitti_of(self, truth: BoxesRecord) -> KittiMetrics:
        """Levels as the first frame has them."""
        if self._kitti is None:
            self._kitti = KittiMetrics(levels=ALL_LEVELS if truth.difficulty is None else LEVELS)
        return self._kitti

    def _by_band(self, first: int, bands: Any) -> dict[str, DetectionFigures]:
        groups = enumerate(bands, first)
        return {band.name: DetectionFigures(**_figures(self._metrics.group(number))) for number, band in groups}


def _figures(metrics: DetectionMetrics) -> dict[str, Any]:
    precisions = dict(zip(metrics.class_names, metrics.average_precisions(), strict=True))
    return {
        "mean_average_precision": _known(metrics.mean_average_precision()),
        "by_class": {
            name: ClassFigures(
                average_precision=float(precisions[name].mean()),
                average_precision_at_m={
                    f"{limit_m:g}": float(value) for limit_m, value in zip(DISTANCES_M, precisions[name], strict=True)
                },
                errors=_errors(name, errors.tolist()),
                objects=metrics.objects(name),
                found=metrics.found(name),
            )
            for name, errors in metrics.errors().items()
        },
    }


def _occurring(metrics: DetectionMetrics) -> list[str]:
    return [name for name in metrics.class_names if metrics.objects(name)]


def _errors(name: str, errors: list[float]) -> dict[str, float | None]:
    meaningless = MEANINGLESS.get(name, ())
    return {kind: None if kind in meaningless else error for kind, error in zip(ERRORS, errors, strict=True)}


def _curve(metrics: DetectionMetrics, name: str) -> PrecisionRecall:
    precision, score = metrics.curve(name, ERROR_DISTANCE_M)
    return PrecisionRecall(
        distance_m=ERROR_DISTANCE_M,
        precision=tuple(precision.tolist()),
        score=tuple(value if value > 0 else None for value in score.tolist()),
    )


def _kitti_figures(kitti: KittiMetrics) -> dict[str, dict[str, dict[str, float | None]]]:
    found = [one.name for one in kitti.classes if any(kitti.objects(one.name, level) for level in kitti.levels)]
    return {
        name: {
            view: {level: _known(kitti.curve(name, view, level).average_precision) for level in kitti.levels}
            for view in VIEWS
        }
        for name in found
    }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
