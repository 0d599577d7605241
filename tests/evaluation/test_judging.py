"""One frame against its truth: classes meet by name, and what cannot be compared is not."""

from __future__ import annotations

import numpy as np
import pytest

from perception.classes import IGNORED, NUSCENES_LIDARSEG, SEMANTIC_KITTI
from perception.configuration import ConfigurationError
from perception.evaluation.criteria import DetectionCriteria
from perception.evaluation.judging import Judge
from perception.evaluation.records import labels_sha256
from perception.types import DetectedObjects
from tests.evaluation.metrics.detections import cars, row
from tests.evaluation.outcomes import boxes_frame, labelled_frame, labels, network, outcome

ROAD, CAR, PARKING, OTHER = (SEMANTIC_KITTI.names.index(name) for name in ("road", "car", "parking", "other-vehicle"))
NEAR, MIDDLE, FAR = "0-20 m", "20-40 m", "40+ m"
STREET = network("segmentation", ("road", "car", "spaceship"))


def at(*distances_m):
    points = np.zeros((len(distances_m), 4), np.float32)
    points[:, 0] = distances_m
    return points


def judged(truth, said, description=STREET, label_set=None, distances_m=None):
    points = at(*(distances_m or [1.0] * len(said)))
    frame = labelled_frame(points, None if truth is None else np.array(truth, np.uint8), stamp_ns=7)
    return Judge.of_bundle(description, label_set).judge(outcome(frame, labels(said)))


def test_labels_meet_the_truth_by_the_names_of_their_classes():
    record = judged([ROAD, CAR, CAR, IGNORED], [0, 1, 0, 1])
    assert record.labels.confusion[NEAR] == ((CAR, CAR, 1), (CAR, ROAD, 1), (ROAD, ROAD, 1))
    assert record.labels.label_set == "semantic_kitti"
    assert record.quality == pytest.approx(2 / 3)
    assert (record.stamp_ns, record.points, record.dropped) == (7, 4, "")


def test_a_class_unknown_to_the_truth_is_no_label():
    assert judged([ROAD], [2]).labels.confusion[NEAR] == ((ROAD, IGNORED, 1),)
    assert judged([ROAD], [99]).labels.confusion[NEAR] == ((ROAD, IGNORED, 1),), "nor is an id of no class"


def test_points_are_counted_at_their_distance():
    record = judged([ROAD] * 6, [0, 0, 0, 1, 1, 0], distances_m=[0, 19.9, 20, 40, 1000, np.nan])
    counts = {band: sum(points for *_, points in cells) for band, cells in record.labels.confusion.items()}
    assert counts == {NEAR: 2, MIDDLE: 1, FAR: 2}, "a point without a position is at no distance"


def test_the_checksum_is_of_what_the_network_said():
    assert judged([ROAD, CAR], [0, 1]).labels.sha256 == labels_sha256(np.array([0, 1], np.uint8))
    assert judged(None, [0, 1]).labels.sha256 == labels_sha256(np.array([0, 1], np.uint8))


def test_without_truth_there_is_a_record_without_quality():
    record = judged(None, [0, 1])
    assert (record.labels.confusion, record.quality, record.dropped) == (None, None, "")
    assert judged([IGNORED, IGNORED], [0, 1]).quality is None


def test_labels_that_are_not_one_a_point_are_dropped():
    frame = labelled_frame(at(1, 2), np.array([ROAD, ROAD], np.uint8))
    record = Judge.of_bundle(STREET).judge(outcome(frame, labels([0])))
    assert (record.dropped, record.labels, record.quality) == ("wrong_length", None, None)


def test_a_frame_without_result_keeps_its_reason():
    frame = labelled_frame(at(1), np.array([ROAD], np.uint8))
    record = Judge.of_bundle(STREET).judge(outcome(frame, None, dropped="superseded"))
    assert (record.dropped, record.labels) == ("superseded", None)


def test_a_network_of_nuscenes_is_judged_in_its_own_classes():
    names = NUSCENES_LIDARSEG.names
    driveable, car, bus = (names.index(name) for name in ("driveable_surface", "car", "bus"))
    record = judged([ROAD, PARKING, CAR, OTHER], [driveable, driveable, bus, bus], network("segmentation", names))
    assert record.labels.label_set == "nuscenes_lidarseg"
    # Nobody knows whether another vehicle is a bus.
    assert record.labels.confusion[NEAR] == ((car, bus, 1), (driveable, driveable, 2))


def test_the_label_set_is_the_one_that_knows_most_of_the_classes():
    some = network("segmentation", ("terrain", "manmade", "driveable_surface", "bus"))
    assert judged([ROAD], [2], some).labels.label_set == "nuscenes_lidarseg"
    assert judged([ROAD], [2], some).quality == 1
    strange = network("segmentation", ("cat", "dog"))
    assert judged([ROAD], [1], strange).labels.label_set == "semantic_kitti"


def test_any_network_can_be_judged_in_the_classes_of_nuscenes():
    names = NUSCENES_LIDARSEG.names
    driveable, car = names.index("driveable_surface"), names.index("car")
    record = judged([PARKING, CAR], [0, 1], label_set="nuscenes_lidarseg")
    assert record.labels.confusion[NEAR] == ((car, car, 1), (driveable, driveable, 1))
    with pytest.raises(ConfigurationError, match="no label set streets: use one of semantic_kitti, nuscenes_lidarseg"):
        Judge.of_bundle(STREET, "streets")


def judged_boxes(truth, found, points_each=10, criteria=None):
    judge = Judge.of_bundle(network("detection", ("car", "bus")), criteria=criteria)
    return judge.judge(outcome(boxes_frame(truth, points_each), DetectedObjects(found)))


def test_boxes_are_kept_with_their_points():
    truth = cars(row(5), row(15), names=("car", "tree"))
    record = judged_boxes(truth, cars(row(5.2, yaw=0.1), row(-30), names="car", scores=(0.9, 0.2)), [10, 3])
    assert record.truth.points == (10, 3)
    assert record.truth.class_names == ("car", "tree")
    assert record.found.points[1] == 0
    assert 8 <= record.found.points[0] <= 10
    assert record.truth.boxes().centers.tolist() == truth.centers.tolist()


def test_quality_weighs_hits_misses_and_false_alarms_of_what_is_shown():
    truth = cars(row(5), row(15), row(25), names="car")
    # One is found, one too far off, one not well enough; a false alarm at -5 m: 2 * 1 / (2 + 2 + 2).
    found = cars(row(5), row(17.5), row(25), row(-5), names="car", scores=(0.9, 0.8, 0.2, 0.31))
    assert judged_boxes(truth, found).quality == pytest.approx(2 / (3 + 3))
    assert judged_boxes(truth, truth).quality == 1
    assert judged_boxes(truth, cars()).quality == 0
    assert judged_boxes(cars(), cars()).quality == 1, "nothing is to be found, and nothing is"
    assert judged_boxes(None, found).quality is None


def test_quality_is_of_what_counts():
    truth = cars(row(5), row(15), row(70), names=("car", "tree", "car"))
    found = cars(row(5), row(70.5), names="car")
    assert judged_boxes(truth, found).quality == 1, "trees are unknown to the network, 70 m is too far away"
    assert judged_boxes(truth, found, criteria=DetectionCriteria(range_m=80)).quality == 1
    hidden = judged_boxes(truth, cars(), [4, 9, 9])
    assert hidden.quality == 1, "an object of 4 points need not be found"
    assert judged_boxes(truth, cars(), [4, 9, 9], DetectionCriteria(least_points=4)).quality == 0
