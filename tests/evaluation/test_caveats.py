"""What is said about figures of quality."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from perception.evaluation.caveats import caveats
from perception.evaluation.judging import Judge
from perception.evaluation.results import ModelResults
from perception.evaluation.summary import summarize
from perception.types import DetectedObjects
from tests.evaluation.metrics.detections import cars, row
from tests.evaluation.outcomes import MODEL, boxes_frame, labelled_frame, labels, network, outcome
from tests.evaluation.test_summary import KITTI, scattered


def of_labels(label_set: str | None) -> tuple[ModelResults, ...]:
    points, truth = scattered()
    record = Judge.of_bundle(KITTI, label_set).judge(outcome(labelled_frame(points, truth), labels(truth)))
    return summarize([record], [SimpleNamespace(name=MODEL, description=KITTI)])


def of_boxes(truth) -> tuple[ModelResults, ...]:
    detector = network("detection", ("car",))
    record = Judge.of_bundle(detector).judge(outcome(boxes_frame(truth), DetectedObjects(truth)))
    return summarize([record], [SimpleNamespace(name=MODEL, description=detector)])


def test_labels_in_their_own_classes_need_no_explanation() -> None:
    assert caveats(of_labels(None)) == []


def test_what_becomes_of_classes_is_said() -> None:
    (said,) = caveats(of_labels("nuscenes_lidarseg"))
    assert "bicyclist as bicycle" in said
    assert "other-vehicle is left out" in said
    assert "bus, construction_vehicle" in said
    assert " car as " not in said


def test_what_counts_and_what_is_not_known_is_said_once() -> None:
    street = cars(row(5), names="car")
    counts, score, levels = caveats([*of_boxes(street), *of_boxes(street)])
    assert "within 50 m if they show 5 LiDAR points" in counts
    assert "of attributes, which" in score
    assert "0.9 is its best value" in score
    assert "one level" in levels
    still = replace(street, velocities=np.full((1, 2), np.nan, np.float32))
    score = caveats(of_boxes(still))[1]
    assert "errors of velocity and attributes" in score
    assert "0.8 is its best" in score
    assert of_boxes(still)[0].detection.nuscenes_detection_score == 0.8
