"""Rotated IoU and suppression against the reference, box by box."""

import functools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perception import ops
from perception.ops import reference_boxes as reference

SEEN_FROM_ABOVE = [0, 1, 3, 4, 6]


def draw_boxes(seed: int, count: int, spread_m: float = 12.0) -> np.ndarray:
    """Boxes of all sizes and directions, crowded enough that many overlap."""
    rng = np.random.default_rng(seed)
    centers = rng.uniform(-spread_m, spread_m, (count, 3)) * (1, 1, 0.1)
    sizes = rng.uniform(0.3, 6, (count, 3))
    return np.concatenate([centers, sizes, rng.uniform(-7, 7, (count, 1))], 1).astype(np.float32)


def draw_proposals(seed: int, count: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, scores and labels of a detector: several proposals around every object."""
    rng = np.random.default_rng(seed)
    objects = draw_boxes(seed, max(count // 8, 1), 25)
    which = rng.integers(0, len(objects), count)
    boxes = objects[which] + rng.normal(0, (0.3, 0.3, 0.1, 0.1, 0.1, 0.1, 0.1), (count, 7)).astype(np.float32)
    scores = rng.uniform(0, 1, count).astype(np.float32)
    return boxes.astype(np.float32), scores, (which % classes).astype(np.int32)


def box(x=0.0, y=0.0, z=0.0, length=4.0, width=2.0, height=1.5, yaw=0.0) -> list[float]:
    return [x, y, z, length, width, height, yaw]


PAIRS = {
    "identical": (box(yaw=0.7), box(yaw=0.7)),
    "turned by pi": (box(yaw=0.7), box(yaw=0.7 + math.pi)),
    "crossed": (box(), box(yaw=math.pi / 2)),
    "turned by 45 degrees": (box(length=2), box(length=2, yaw=math.pi / 4)),
    "nested": (box(), box(0.2, 0.1, 0.1, 1, 0.5, 0.5, 0.3)),
    "sharing an edge": (box(), box(x=4)),
    "sharing part of an edge": (box(), box(x=1, y=2)),
    "an edge inside an edge": (box(), box(x=1, length=2)),
    "sharing a corner": (box(), box(x=4, y=2)),
    "a corner on an edge": (box(), box(x=2 + math.sqrt(2), length=2, yaw=math.pi / 4)),
    "above each other": (box(), box(z=1.5)),
    "half above each other": (box(), box(z=0.75)),
    "far apart": (box(), box(x=1000)),
    "far from the origin": (box(x=70, y=-70, yaw=1), box(x=71, y=-70.5, yaw=1.2)),
    "many turns": (box(yaw=100.0), box(x=0.5, yaw=-64.0)),
    "nearly parallel": (box(yaw=0.3), box(x=0.1, yaw=0.3000001)),
    "thin": (box(width=0.01), box(length=0.01, yaw=0.1)),
    "huge and tiny": (box(length=1000, width=500), box(x=3, length=0.1, width=0.1, yaw=1)),
    "no width": (box(width=0), box()),
    "no area at all": (box(length=0, width=0), box(length=0, width=0)),
    "negative length": (box(length=-4), box()),
    "no height": (box(height=0), box(height=0)),
    "not a number": (box(x=math.nan), box()),
    "infinite": (box(length=math.inf), box()),
}


@pytest.mark.parametrize("three_d", [False, True])
@pytest.mark.parametrize("name", PAIRS)
def test_iou_of_a_pair(device, name, three_d):
    first, second = (np.array([values], np.float32) for values in PAIRS[name])
    expected = reference.pair_iou(first[0].tolist(), second[0].tolist(), three_d)
    if name == "no height":
        expected = 0.0 if three_d else 1.0
    for a, b in ((first, second), (second, first)):
        aligned = device.numpy(ops.box_iou_aligned(device.array(a), device.array(b), three_d=three_d))
        matrix = device.numpy(ops.box_iou(device.array(a), device.array(b), three_d=three_d))
        np.testing.assert_allclose([aligned[0], matrix[0, 0]], expected, rtol=1e-4, atol=1e-6)
        assert 0 <= matrix[0, 0] <= 1


@pytest.mark.parametrize("three_d", [False, True])
@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (0, 3), (3, 0), (1, 1), (1, 70), (70, 1), (61, 67)])
def test_iou_of_all_pairs(device, threads, rows, columns, three_d):
    first, second = draw_boxes(1, rows), draw_boxes(2, columns)
    given = (device.array(first), device.array(second))
    result = device.numpy(ops.box_iou(*given, three_d=three_d, threads=threads))
    expected = reference.box_iou(torch.from_numpy(first), torch.from_numpy(second), three_d)
    assert result.shape == (rows, columns)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("three_d", [False, True])
@pytest.mark.parametrize("count", [0, 1, 400])
def test_iou_of_rows(device, threads, count, three_d):
    first = draw_boxes(3, count, 5)
    second = first + np.random.default_rng(4).normal(0, 0.4, first.shape).astype(np.float32)
    given = (device.array(first), device.array(second))
    result = device.numpy(ops.box_iou_aligned(*given, three_d=three_d, threads=threads))
    expected = [reference.pair_iou(*pair, three_d) for pair in zip(first.tolist(), second.tolist(), strict=True)]
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-6)


def test_boxes_apart_share_nothing_at_all(device):
    first, second = draw_boxes(8, 150, 20), draw_boxes(9, 150, 20)
    result = device.numpy(ops.box_iou(device.array(first), device.array(second)))
    expected = reference.box_iou(torch.from_numpy(first), torch.from_numpy(second)).numpy()
    assert (result[expected == 0] == 0).all()
    assert 0.01 < (expected > 0).mean() < 0.5


def test_further_columns_are_not_read(device):
    first = draw_boxes(5, 20)
    wide = np.concatenate([first, np.full((20, 2), np.nan, np.float32)], 1)
    result = device.numpy(ops.box_iou(device.array(wide), device.array(wide)))
    np.testing.assert_array_equal(result, device.numpy(ops.box_iou(device.array(first), device.array(first))))


@pytest.mark.large
def test_iou_of_300000_rows(device, threads):
    first = draw_boxes(6, 300_000, 3)
    second = draw_boxes(7, 300_000, 3)
    given = (device.array(first), device.array(second))
    result = device.numpy(ops.box_iou_aligned(*given, threads=threads))
    for row in range(0, 300_000, 997):
        expected = reference.pair_iou(first[row].tolist(), second[row].tolist())
        np.testing.assert_allclose(result[row], expected, rtol=1e-4, atol=1e-6)


any_box = st.tuples(
    *[st.floats(-50, 50, width=32)] * 3, *[st.floats(0.0625, 20, width=32)] * 3, st.floats(-10, 10, width=32)
)


@settings(deadline=None, max_examples=300)
@given(any_box, any_box, st.booleans())
def test_iou_is_symmetric_and_right(first, second, three_d):
    second = (first[0] + second[0] / 10, first[1] + second[1] / 10, first[2] + second[2] / 10, *second[3:])
    boxes = np.array([first, second], np.float32)
    result = ops.box_iou(boxes, boxes, three_d=three_d)
    assert ((result >= 0) & (result <= 1)).all()
    np.testing.assert_allclose(np.diag(result), 1, atol=2e-6)
    np.testing.assert_allclose(result[0, 1], result[1, 0], atol=2e-6)
    expected = reference.pair_iou(boxes[0].tolist(), boxes[1].tolist(), three_d)
    np.testing.assert_allclose(result[0, 1], expected, rtol=1e-4, atol=2e-6)


@settings(deadline=None, max_examples=100)
@given(any_box, any_box, st.floats(-3, 3), st.floats(-20, 20), st.floats(-20, 20))
def test_iou_stays_when_all_is_moved(first, second, turn, right, up):
    boxes = np.array([first, second], np.float64)
    boxes[1, :2] = boxes[0, :2] + boxes[1, :2] / 20
    moved = boxes.copy()
    cosine, sine = math.cos(turn), math.sin(turn)
    moved[:, 0] = cosine * boxes[:, 0] - sine * boxes[:, 1] + right
    moved[:, 1] = sine * boxes[:, 0] + cosine * boxes[:, 1] + up
    moved[:, 6] += turn
    before, after = (ops.box_iou(each[:1].astype(np.float32), each[1:].astype(np.float32)) for each in (boxes, moved))
    # Coordinates up to 100 m are rounded by 4e-6 m, the smallest width is 0.06 m.
    np.testing.assert_allclose(before, after, atol=3e-4)


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


def test_iou_of_the_official_code(device, shared, golden):
    _, inputs, outputs = golden.load_case(shared / "golden" / "flatformer" / "ops")
    boxes = device.array(house_boxes(inputs["nms_boxes"]))
    result = device.numpy(ops.box_iou(boxes, boxes))
    np.testing.assert_allclose(result, outputs["iou_bev"], atol=1e-3)
    np.testing.assert_allclose(
        result, reference.box_iou(*[torch.from_numpy(house_boxes(inputs["nms_boxes"]))] * 2), atol=1e-6
    )


@pytest.mark.parametrize("limit", [0.8, 0.55, 0.1])
def test_nms_of_the_official_code(device, shared, golden, limit):
    _, inputs, outputs = golden.load_case(shared / "golden" / "flatformer" / "ops")
    boxes, scores = device.array(house_boxes(inputs["nms_boxes"])), device.array(inputs["nms_scores"])
    kept = device.numpy(ops.rotated_nms(boxes, scores, ops.ClassSuppression(limit, score_above=-math.inf)))
    np.testing.assert_array_equal(kept, outputs[f"nms_keep_{limit}"])


def house_boxes(official: np.ndarray) -> np.ndarray:
    """Boxes x, y, size along x, size along y, yaw clockwise, as boxes of 7 columns."""
    boxes = np.ones((len(official), 7), np.float32)
    boxes[:, SEEN_FROM_ABOVE] = official
    boxes[:, 6] *= -1
    return boxes


def test_bad_boxes():
    boxes, scores, rule = draw_boxes(1, 5), np.zeros(5, np.float32), ops.ClassSuppression(0.5)
    with pytest.raises(ValueError, match="first must be float32, found float64"):
        ops.box_iou(boxes.astype(np.float64), boxes)
    with pytest.raises(ValueError, match="7 to 1024 columns"):
        ops.box_iou(boxes[:, :5].copy(), boxes[:, :5].copy())
    with pytest.raises(ValueError, match=r"second must have the shape \[any, 7\]"):
        ops.box_iou(boxes, np.ones((5, 9), np.float32))
    with pytest.raises(ValueError, match="must be contiguous"):
        ops.box_iou(boxes[:, ::-1], boxes)
    with pytest.raises(ValueError, match="as many rows, found 5 and 4"):
        ops.box_iou_aligned(boxes, boxes[:4])
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
