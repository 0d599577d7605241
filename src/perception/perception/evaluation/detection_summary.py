"""From records of found boxes to figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from perception.data.kitti_levels import LEVELS
from perception.evaluation.criteria import DetectionCriteria
from perception.evaluation.metrics.bands import (
    DISTANCE_BANDS_M,
    POINT_BANDS,
    Band,
    distances_m,
    inside,
    inside_or_lowest,
)
from perception.evaluation.metrics.detection import MEANINGLESS, DetectionMetrics
from perception.evaluation.metrics.detection_curves import Flags, Floats
from perception.evaluation.metrics.detection_matching import DISTANCES_M, ERROR_DISTANCE_M, ERRORS
from perception.evaluation.metrics.kitti import KITTI_CLASSES, VIEWS, KittiMetrics
from perception.evaluation.records import FrameRecord
from perception.evaluation.results import ClassFigures, DetectionFigures, DetectionResults, PrecisionRecall
from perception.types import Boxes3D

#: The one level of all objects, whether their difficulty is known or not.
ALL_LEVELS = ("all",)
#: The groups of the metrics: everything, then the bands.
FIRST_DISTANCE, FIRST_POINTS = 1, 1 + len(DISTANCE_BANDS_M)
GROUPS = FIRST_POINTS + len(POINT_BANDS)


class DetectionSummary:
    """Found boxes of one network in as many frames as are added."""

    def __init__(self, classes: tuple[str, ...], criteria: DetectionCriteria) -> None:
        """Start with no frames; objects of classes that the network does not know are left out."""
        self._criteria = criteria
        self._metrics = DetectionMetrics(classes, criteria.range_m, GROUPS)
        names = {name.lower() for name in classes}
        of_kitti = [one for one in KITTI_CLASSES if one.name.lower() in names]
        self._kitti = KittiMetrics(of_kitti, ALL_LEVELS, GROUPS)
        self._rated = KittiMetrics(of_kitti, LEVELS, GROUPS)

    def add(self, record: FrameRecord) -> None:
        """Add a frame; one without truth adds nothing."""
        if record.truth is None or record.found is None:
            return
        truth, found = record.truth.boxes(), record.found.boxes()
        enough = self._criteria.count(record.truth)
        flags = {
            "truth_counts": self._groups_of(truth, enough, inside(record.truth.points, POINT_BANDS)),
            "found_counts": self._groups_of(
                found, np.ones(len(found), bool), inside_or_lowest(record.found.points, POINT_BANDS)
            ),
        }
        self._metrics.add(truth, found, **flags)
        self._kitti.add(truth, found, **flags)
        if record.truth.difficulty is not None:
            self._rated.add(truth, found, truth_levels=record.truth.difficulty, **flags)

    def _groups_of(self, boxes: Boxes3D, counts: Flags, by_points: Flags) -> Flags:
        """Where boxes count, bool [M, groups]: those with few points only in the bands of points."""
        away_m = distances_m(boxes)
        by_distance = inside(away_m, DISTANCE_BANDS_M) & counts[:, None]
        return np.column_stack([counts, by_distance, by_points]) & (away_m < self._criteria.range_m)[:, None]

    def results(self) -> DetectionResults | None:
        """Give the figures; None when no frame had a truth."""
        metrics = self._metrics
        if not metrics.frames:
            return None
        return DetectionResults(
            **self._figures(0),
            classes=metrics.class_names,
            nuscenes_detection_score=_known(metrics.detection_score()),
            errors={kind: _known(value) for kind, value in metrics.mean_errors().items()},
            range_m=self._criteria.range_m,
            least_points=self._criteria.least_points,
            frames=metrics.frames,
            curves={name: _curve(metrics, name) for name in metrics.class_names if metrics.objects(name)},
            by_distance=self._by_band(FIRST_DISTANCE, DISTANCE_BANDS_M),
            by_points=self._by_band(FIRST_POINTS, POINT_BANDS),
        )

    def _kitti_parts(self) -> list[KittiMetrics]:
        return [self._kitti, self._rated] if self._rated.frames else [self._kitti]

    def _by_band(self, first: int, bands: Sequence[Band]) -> dict[str, DetectionFigures]:
        groups = enumerate(bands, first)
        return {band.name: DetectionFigures(**self._figures(number)) for number, band in groups}

    def _figures(self, group: int) -> dict[str, Any]:
        metrics = self._metrics.group(group)
        precisions = dict(zip(metrics.class_names, metrics.average_precisions(), strict=True))
        return {
            "mean_average_precision": _known(metrics.mean_average_precision()),
            "by_class": {
                name: _of_class(metrics, name, precisions[name], errors) for name, errors in metrics.errors().items()
            },
            "kitti": _kitti_figures(
                [self._kitti.group(group), *([self._rated.group(group)] if self._rated.frames else [])]
            ),
        }


def _of_class(metrics: DetectionMetrics, name: str, precisions: Floats, errors: Floats) -> ClassFigures:
    meaningless = MEANINGLESS.get(name, ())
    at_m = zip(DISTANCES_M, precisions.tolist(), strict=True)
    return ClassFigures(
        average_precision=float(precisions.mean()),
        average_precision_at_m={f"{limit_m:g}": value for limit_m, value in at_m},
        errors={
            kind: None if kind in meaningless else _known(error)
            for kind, error in zip(ERRORS, errors.tolist(), strict=True)
        },
        objects=metrics.objects(name),
        found=metrics.found(name),
    )


def _curve(metrics: DetectionMetrics, name: str) -> PrecisionRecall:
    precision, score = metrics.curve(name, ERROR_DISTANCE_M)
    return PrecisionRecall(
        distance_m=ERROR_DISTANCE_M,
        precision=tuple(precision.tolist()),
        score=tuple(value if value > 0 else None for value in score.tolist()),
    )


def _kitti_figures(parts: Sequence[KittiMetrics]) -> dict[str, dict[str, dict[str, float | None]]]:
    """Class -> view -> level -> average precision, of the classes that have objects."""
    occurring = [one.name for one in parts[0].classes if parts[0].objects(one.name, *ALL_LEVELS)]
    levels = [(part, level) for part in parts for level in part.levels]
    return {
        name: {
            view: {level: _known(part.curve(name, view, level).average_precision) for part, level in levels}
            for view in VIEWS
        }
        for name in occurring
    }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
