"""Rotated IoU against the reference, pair by pair."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perception import ops
from perception.ops import reference_boxes as reference
from tests.ops.boxes import box, draw_boxes, house_boxes

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
    # A float32 corner is off by 1e-7 of the longest side, and the overlap by as much over the shortest: a box of 18 m
    # by 0.06 m has an IoU of 0.999998 with itself.
    rounding = 2e-6 + 1e-7 * boxes[:, 3:5].max() / boxes[:, 3:5].min()
    np.testing.assert_allclose(np.diag(result), 1, atol=rounding)
    np.testing.assert_allclose(result[0, 1], result[1, 0], atol=rounding)
    expected = reference.pair_iou(boxes[0].tolist(), boxes[1].tolist(), three_d)
    np.testing.assert_allclose(result[0, 1], expected, rtol=1e-4, atol=rounding)


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


def test_iou_of_the_official_code(device, shared, golden):
    _, inputs, outputs = golden.load_case(shared / "golden" / "flatformer" / "ops")
    boxes = device.array(house_boxes(inputs["nms_boxes"]))
    result = device.numpy(ops.box_iou(boxes, boxes))
    np.testing.assert_allclose(result, outputs["iou_bev"], atol=1e-3)
    np.testing.assert_allclose(
        result, reference.box_iou(*[torch.from_numpy(house_boxes(inputs["nms_boxes"]))] * 2), atol=1e-6
    )


def test_bad_boxes():
    boxes = draw_boxes(1, 5)
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
