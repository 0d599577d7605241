"""Labels against the truth of a drive, matched by stamp."""

import numpy as np
import pytest

from perception.classes import IGNORED, SEMANTIC_KITTI_CLASSES
from perception.data.drive import DriveFrame
from perception.evaluation.comparison import compare, labelled_scan
from perception.types import Frame, PointCloud

ROAD, CAR = SEMANTIC_KITTI_CLASSES.index("road"), SEMANTIC_KITTI_CLASSES.index("car")
NETWORK_CLASSES = ("road", "car", "spaceship")


def frame(stamp_ns, truth):
    points = np.zeros((4 if truth is None else len(truth), 4), np.float32)
    class_ids = None if truth is None else np.array(truth, np.uint8)
    return DriveFrame(Frame(PointCloud(points), stamp_ns), np.eye(4), class_ids)


def labels(*class_ids):
    return np.array(class_ids, np.uint8)


def test_labels_meet_the_truth_of_their_own_stamp():
    drive = [frame(10, [ROAD, ROAD]), frame(20, [CAR, CAR])]
    comparison = compare(drive, {20: labels(1, 1), 10: labels(0, 1), 99: labels(0)}, NETWORK_CLASSES)
    assert (comparison.published, comparison.labelled, comparison.compared) == (2, 2, 2)
    assert comparison.accuracies == {10: 0.5, 20: 1.0}
    assert comparison.matrix.counts[ROAD, CAR] == 1


def test_a_class_unknown_to_the_truth_is_an_error_and_no_other_class():
    comparison = compare([frame(1, [ROAD, CAR])], {1: labels(2, 1)}, NETWORK_CLASSES)
    assert comparison.matrix.unlabelled[ROAD] == 1
    assert comparison.accuracies == {1: 0.5}


def test_frames_without_result_are_counted_as_published_only():
    comparison = compare([frame(1, [ROAD]), frame(2, [ROAD])], {2: labels(0)}, NETWORK_CLASSES)
    assert (comparison.published, comparison.labelled) == (2, 1)


def test_a_result_of_another_length_is_never_compared():
    comparison = compare([frame(1, [ROAD, ROAD])], {1: labels(0)}, NETWORK_CLASSES)
    assert (comparison.wrong_length, comparison.labelled) == (1, 0)
    assert comparison.matrix.counts.sum() == 0


def test_frames_without_truth_come_out_but_are_not_compared():
    comparison = compare([frame(1, None)], {1: labels(0, 0, 0, 0)}, NETWORK_CLASSES)
    assert (comparison.labelled, comparison.compared) == (1, 0)
    assert np.isnan(comparison.matrix.mean_iou())


def test_the_typical_frame_is_the_one_of_median_accuracy():
    drive = [frame(stamp, [ROAD] * 4) for stamp in (1, 2, 3)]
    results = {1: labels(0, 0, 0, 0), 2: labels(1, 1, 1, 1), 3: labels(0, 0, 1, 1)}
    assert compare(drive, results, NETWORK_CLASSES).typical_stamp_ns() == 3
    assert compare(drive, {}, NETWORK_CLASSES).typical_stamp_ns() is None


def test_a_scan_to_draw_is_in_the_classes_of_the_truth():
    scan = labelled_scan("title", frame(1, [ROAD, CAR]), labels(0, 2), NETWORK_CLASSES)
    assert scan.predicted.tolist() == [ROAD, IGNORED]
    assert [name for name, _ in scan.legend()] == ["car", "road", "not labelled"]


def test_class_ids_of_the_network_never_index_the_truth_directly():
    # "road" is 0 in this network and 8 in the truth: an untranslated comparison would find nothing right.
    assert compare([frame(1, [ROAD])], {1: labels(0)}, ("road",)).matrix.accuracy() == pytest.approx(1.0)
