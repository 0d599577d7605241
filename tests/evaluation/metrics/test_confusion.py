"""The confusion matrix and what is read off it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception.classes import IGNORED
from perception.evaluation.metrics.confusion import ConfusionMatrix

CLASS_COUNT = 5
CLASS_IDS = st.sampled_from([*range(CLASS_COUNT), IGNORED])
LABELLED_POINTS = st.lists(st.tuples(CLASS_IDS, CLASS_IDS), max_size=60)


def matrix_of(truth, predicted, class_count=3):
    matrix = ConfusionMatrix(class_count)
    matrix.add(np.array(truth, np.uint8), np.array(predicted, np.uint8))
    return matrix


def matrix_of_pairs(pairs):
    return matrix_of([truth for truth, _ in pairs], [predicted for _, predicted in pairs], CLASS_COUNT)


def test_a_case_computed_by_hand():
    #  class 0: 3 true, 2 right, 1 taken from class 1 -> 2 / (3 + 3 - 2); class 1: 1 right of 2, 1 stray -> 1 / 3
    matrix = matrix_of([0, 0, 0, 1, 1], [0, 0, 1, 1, 0])
    assert matrix.counts.tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert matrix.iou()[:2].tolist() == [2 / 4, 1 / 3]
    assert np.isnan(matrix.iou()[2])
    assert matrix.mean_iou() == pytest.approx((0.5 + 1 / 3) / 2)
    assert matrix.accuracy() == 3 / 5


def test_points_without_truth_are_not_counted():
    matrix = matrix_of([IGNORED, IGNORED, 1], [0, 2, 1])
    assert matrix.counts.sum() == 1
    assert matrix.accuracy() == 1.0


def test_a_point_left_without_label_is_an_error_of_its_class_alone():
    matrix = matrix_of([0, 0, 1], [0, IGNORED, 1])
    assert matrix.unlabelled.tolist() == [1, 0, 0]
    assert matrix.iou()[:2].tolist() == [0.5, 1.0]
    assert matrix.accuracy() == 2 / 3


def test_a_class_that_is_only_predicted_adds_no_zero_to_the_mean():
    # Class 2 never occurs: it costs class 0 one of two points, and that is all.
    assert matrix_of([0, 0, 1], [0, 2, 1]).mean_iou() == (0.5 + 1.0) / 2


def test_nothing_counted_is_not_a_number():
    matrix = matrix_of([], [])
    assert np.isnan(matrix.mean_iou())
    assert np.isnan(matrix.accuracy())


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([0, 1], [0], "expected \\[N\\]"),
        ([3], [0], "truth holds class id 3"),
        ([0], [254], "prediction holds class id 254"),
    ],
)
def test_what_cannot_be_compared_is_refused(truth, predicted, message):
    with pytest.raises(ValueError, match=message):
        matrix_of(truth, predicted)


def test_a_refused_frame_changes_nothing():
    matrix = matrix_of([0], [0])
    with pytest.raises(ValueError, match="prediction"):
        matrix.add(np.array([1, 1], np.uint8), np.array([1, 9], np.uint8))
    assert matrix.counts.sum() == 1


def test_counts_do_not_overflow():
    matrix = ConfusionMatrix(1)
    matrix._counts[0, 0] = 2**40
    matrix.add(np.zeros(3, np.uint8), np.zeros(3, np.uint8))
    assert matrix.counts[0, 0] == 2**40 + 3


@given(LABELLED_POINTS, st.randoms(use_true_random=False))
def test_the_order_of_points_does_not_matter(pairs, random):
    shuffled = random.sample(pairs, len(pairs))
    assert matrix_of_pairs(pairs).counts.tolist() == matrix_of_pairs(shuffled).counts.tolist()


@given(LABELLED_POINTS, LABELLED_POINTS)
def test_frames_add_up_however_they_are_split(first, second):
    together, parts = matrix_of_pairs(first + second), matrix_of_pairs(first)
    parts.merge(matrix_of_pairs(second))
    assert parts.counts.tolist() == together.counts.tolist()
    assert parts.unlabelled.tolist() == together.unlabelled.tolist()


@given(st.lists(st.integers(0, CLASS_COUNT - 1), min_size=1))
def test_perfect_labels_score_one(truth):
    matrix = matrix_of(truth, truth, CLASS_COUNT)
    assert matrix.mean_iou() == 1.0
    assert matrix.accuracy() == 1.0


@given(LABELLED_POINTS, st.permutations(range(CLASS_COUNT)))
def test_renaming_classes_renames_their_scores(pairs, permutation):
    table = np.full(256, IGNORED, np.uint8)
    table[:CLASS_COUNT] = permutation
    renamed = matrix_of_pairs([(int(table[truth]), int(table[predicted])) for truth, predicted in pairs])
    np.testing.assert_array_equal(renamed.iou()[permutation], matrix_of_pairs(pairs).iou())


@given(LABELLED_POINTS)
def test_iou_agrees_with_sets_of_points(pairs):
    judged = [pair for pair in pairs if pair[0] != IGNORED]
    iou = matrix_of_pairs(pairs).iou()
    for class_id in range(CLASS_COUNT):
        true = {index for index, (truth, _) in enumerate(judged) if truth == class_id}
        labelled = {index for index, (_, predicted) in enumerate(judged) if predicted == class_id}
        assert iou[class_id] == len(true & labelled) / len(true | labelled) if true else np.isnan(iou[class_id])
