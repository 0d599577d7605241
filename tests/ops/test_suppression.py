"""Rotated and circle NMS against the reference, box by box."""

import functools
import math

import numpy as np
import pytest
import torch

from perception import ops
from perception.ops import reference_boxes as reference
from tests.ops.boxes import box, draw_boxes, draw_proposals, house_boxes

RULES = {
    "plain": ops.ClassSuppression(0.5),
    "nothing may overlap": ops.ClassSuppression(0.0),
    "all may overlap": ops.ClassSuppression(1.0),
    "few candidates": ops.ClassSuppression(0.3, candidates=40),
    "few kept": ops.ClassSuppression(0.3, kept=5),
    "as many kept as there are": ops.ClassSuppression(0.3, candidates=300, kept=300),
    "only good ones": ops.ClassSuppression(0.3, score_above=0.7),
    "no candidates": ops.ClassSuppression(0.3, candidates=0),
    "none kept": ops.ClassSuppression(0.3, kept=0),
}


def expected_kept(conflict: np.ndarray, scores: np.ndarray, rule: ops.ClassSuppression) -> list[int]:
    return reference.greedy_nms(
        torch.from_numpy(conflict), torch.from_numpy(scores), rule.score_above, rule.candidates, rule.kept
    )


def iou_conflicts(boxes: np.ndarray, limit: float) -> np.ndarray:
    """Which boxes overlap too much, by the reference; none of the pairs is a close call."""
    overlap = overlap_of(boxes.tobytes())
    assert (np.abs(overlap - limit)[overlap > 0] > 1e-6).all() or limit == 1
    return overlap > limit


@functools.cache
def overlap_of(boxes: bytes) -> np.ndarray:
    values = torch.from_numpy(np.frombuffer(boxes, np.float32).reshape(-1, 7).copy())
    return reference.box_iou(values, values).numpy()


@pytest.mark.parametrize("name", RULES)
def test_rotated_nms(device, threads, name):
    boxes, scores, _ = draw_proposals(1, 300)
    given = (device.array(boxes), device.array(scores))
    kept = device.numpy(ops.rotated_nms(*given, RULES[name], threads=threads))
    np.testing.assert_array_equal(kept, expected_kept(iou_conflicts(boxes, RULES[name].limit), scores, RULES[name]))


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 129, 500])
def test_rotated_nms_of_classes(device, threads, count):
    boxes, scores, labels = draw_proposals(2, count)
    rules = [
        ops.ClassSuppression(0.2, 0.1),
        ops.ClassSuppression(0.5, 0.3, candidates=30),
        ops.ClassSuppression(0.4, kept=4),
    ]
    given = (device.array(boxes), device.array(scores), rules, device.array(labels))
    expected = []
    for label, rule in enumerate(rules):
        rows = np.flatnonzero(labels == label)
        expected += rows[expected_kept(iou_conflicts(boxes[rows], rule.limit), scores[rows], rule)].tolist()
    np.testing.assert_array_equal(device.numpy(ops.rotated_nms(*given, threads=threads)), expected)


def test_equal_scores_go_by_row(device):
    boxes = np.repeat(draw_boxes(3, 3, 1), 40, axis=0)
    boxes[:, 0] += np.repeat([0, 100, 200], 40)
    scores = np.full(120, 0.5, np.float32)
    scores[7], scores[45], scores[9] = 0.6, np.nan, 0.0
    kept = device.numpy(ops.rotated_nms(device.array(boxes), device.array(scores), ops.ClassSuppression(0.5)))
    np.testing.assert_array_equal(kept, [7, 40, 80])
    scores = np.where(np.arange(120) % 2, 0.0, -0.0).astype(np.float32)  # equal, too
    rule = ops.ClassSuppression(0.5, score_above=-1)
    kept = device.numpy(ops.rotated_nms(device.array(boxes), device.array(scores), rule))
    np.testing.assert_array_equal(kept, [0, 40, 80])


@pytest.mark.parametrize("nms", [ops.rotated_nms, ops.circle_nms])
def test_boxes_that_are_not_finite_suppress_nothing(device, nms):
    boxes = np.array([box(), box(x=math.nan), box(yaw=math.inf), box(x=0.1), box(y=math.inf)], np.float32)
    if nms is ops.circle_nms:
        boxes[2, 6] = 0
        boxes[2, 0] = math.inf
    scores = np.array([0.5, 0.9, 0.8, 0.4, 0.3], np.float32)
    kept = device.numpy(nms(device.array(boxes), device.array(scores), ops.ClassSuppression(0.5)))
    np.testing.assert_array_equal(kept, [1, 2, 0, 4])


@pytest.mark.parametrize("count", [0, 1, 64, 400])
def test_circle_nms(device, threads, count):
    boxes, scores, labels = draw_proposals(4, count)
    rules = [ops.ClassSuppression(0.5), ops.ClassSuppression(4.0, 0.2), ops.ClassSuppression(0.0)]
    given = (device.array(boxes), device.array(scores), rules, device.array(labels))
    expected = []
    for label, rule in enumerate(rules):
        rows = np.flatnonzero(labels == label)
        distance = reference.center_distance(torch.from_numpy(boxes[rows])).numpy()
        expected += rows[expected_kept(distance <= rule.limit, scores[rows], rule)].tolist()
    np.testing.assert_array_equal(device.numpy(ops.circle_nms(*given, threads=threads)), expected)


def test_a_radius_is_included(device):
    boxes = np.array([box(), box(x=3, y=4), box(x=-3, y=4.001)], np.float32)
    scores = np.array([0.3, 0.2, 0.1], np.float32)
    kept = device.numpy(ops.circle_nms(device.array(boxes), device.array(scores), ops.ClassSuppression(5)))
    np.testing.assert_array_equal(kept, [0, 2])


@pytest.mark.large
def test_nms_of_20000_boxes(device, threads):
    boxes, scores, _ = draw_proposals(5, 20_000, classes=1)
    boxes[:, :2] *= 8
    kept = device.numpy(
        ops.rotated_nms(device.array(boxes), device.array(scores), ops.ClassSuppression(0.3), threads=threads)
    )
    overlap = ops.box_iou(boxes[kept], boxes[kept], threads=2)
    assert (np.triu(overlap, 1) <= 0.3).all()
    assert (np.diff(scores[kept]) <= 0).all()
    gone = np.setdiff1d(np.arange(20_000), kept)[::37]
    blocked = ops.box_iou(boxes[gone], boxes[kept], threads=2) > 0.3
    assert (blocked & (scores[kept] > scores[gone][:, None])).any(1).all()


@pytest.mark.parametrize("limit", [0.8, 0.55, 0.1])
def test_nms_of_the_official_code(device, shared, golden, limit):
    _, inputs, outputs = golden.load_case(shared / "golden" / "flatformer" / "ops")
    boxes, scores = device.array(house_boxes(inputs["nms_boxes"])), device.array(inputs["nms_scores"])
    kept = device.numpy(ops.rotated_nms(boxes, scores, ops.ClassSuppression(limit, score_above=-math.inf)))
    np.testing.assert_array_equal(kept, outputs[f"nms_keep_{limit}"])


def test_bad_calls():
    boxes, scores, rule = draw_boxes(1, 5), np.zeros(5, np.float32), ops.ClassSuppression(0.5)
    with pytest.raises(ValueError, match=r"scores must have the shape \[5\]"):
        ops.rotated_nms(boxes, scores[:3], rule)
    with pytest.raises(ValueError, match="a label names a class that does not exist"):
        ops.rotated_nms(boxes, scores, [rule, rule], np.array([0, 1, 2, 0, 0], np.int32))
    with pytest.raises(ValueError, match="a label names a class that does not exist"):
        ops.rotated_nms(boxes, scores, rule, np.full(5, -1, np.int32))
    with pytest.raises(ValueError, match="the number of classes must lie in"):
        ops.rotated_nms(boxes, scores, [])
    with pytest.raises(ValueError, match="rotated NMS: an IoU limit must be a number that is not negative"):
        ops.rotated_nms(boxes, scores, ops.ClassSuppression(math.nan))
    with pytest.raises(ValueError, match="circle NMS: a distance must be a number"):
        ops.circle_nms(boxes, scores, ops.ClassSuppression(-1))
    with pytest.raises(ValueError, match="a score limit must be a number"):
        ops.circle_nms(boxes, scores, ops.ClassSuppression(1, math.nan))
    with pytest.raises(ValueError, match="are not negative"):
        ops.circle_nms(boxes, scores, ops.ClassSuppression(1, kept=-1))
    with pytest.raises(ValueError, match="the number of threads must be at least 1"):
        ops.rotated_nms(boxes, scores, rule, threads=0)
