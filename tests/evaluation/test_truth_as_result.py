"""A simulated drive whose truth is taken for a network's results: every figure is perfect, in every band."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from perception.classes import NUSCENES_CLASSES, SEMANTIC_KITTI
from perception.data.drive import DriveFrame
from perception.data.simulation.drive import simulate_drive
from perception.evaluation.judging import Judge
from perception.evaluation.outcomes import Result
from perception.evaluation.results import DetectionFigures, ModelResults
from perception.evaluation.summary import summarize
from perception.types import DetectedObjects
from tests.evaluation.outcomes import MODEL, labels, network, outcome

LABELLER, DETECTOR = network("segmentation", SEMANTIC_KITTI.names), network("detection", NUSCENES_CLASSES)


@pytest.fixture(scope="module")
def moments() -> list[DriveFrame]:
    return list(simulate_drive(seed=3, sensor="nuscenes32", frames=2))


def judged(description, results: Iterator[tuple[DriveFrame, Result]]) -> ModelResults:
    judge = Judge.of_bundle(description)
    records = [judge.judge(outcome(*pair, index)) for index, pair in enumerate(results)]
    assert [record.quality for record in records] == [1] * len(records)
    return summarize(records, [SimpleNamespace(name=MODEL, description=description)])[0]


def test_labels(moments: list[DriveFrame]) -> None:
    found = judged(LABELLER, ((moment, labels(moment.class_ids)) for moment in moments)).segmentation
    assert found is not None
    for figures in (found, *found.by_distance.values()):
        assert figures.mean_iou == figures.accuracy == 1
        assert set(figures.iou.values()) == {1}
    assert len(found.iou) > 8


def test_boxes(moments: list[DriveFrame]) -> None:
    results = judged(DETECTOR, ((moment, DetectedObjects(moment.objects)) for moment in moments))
    found = results.detection
    assert found is not None
    assert found.nuscenes_detection_score == pytest.approx(0.9), "nobody names attributes, as in nuScenes itself"
    bands: list[DetectionFigures] = [found, *found.by_distance.values(), *found.by_points.values()]
    assert sum(one.mean_average_precision is not None for one in bands) > 5
    for figures in bands:
        assert figures.mean_average_precision in (1, None)
        assert {
            value for views in figures.kitti.values() for levels in views.values() for value in levels.values()
        } <= {1}
        for one in figures.by_class.values():
            assert one.average_precision == 1
            assert all(error == pytest.approx(0, abs=1e-6) for error in one.errors.values() if error is not None)
    assert {"Car", "Pedestrian"} <= set(found.kitti)
