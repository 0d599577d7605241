"""What a centre head is taught: maps that, read back, are the objects that they were made from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perception.bundle.detection import CenterDecoding, FlatFormerSettings, SuppressionSettings
from perception.runtime.detections import MAP_NAMES, Candidates, box_coding, find_candidates, suppress
from perception.training.detection.targets import (
    CenterTargets,
    HeatSettings,
    TruthBoxes,
    center_targets,
    draw_gaussian,
    gaussian_radii,
    truth_boxes,
)
from perception.types import Boxes3D

MAP = FlatFormerSettings(range_m=(-16.0, -8.0, -2.0, 16.0, 8.0, 4.0), pillar_m=0.5, drop_first=False)
DECODING = CenterDecoding(
    center_range_m=(-16, -8, -10, 16, 8, 10),
    suppression=(SuppressionSettings(iou=0.5),) * 3,
    min_score=0.6,
    peak_window=3,
)


def targets_of(*truth: TruthBoxes, heat: HeatSettings | None = None) -> CenterTargets:
    return center_targets(truth, box_coding(MAP), MAP.grid_size, 3, heat or HeatSettings())


def perfect_maps(targets: CenterTargets) -> dict[str, torch.Tensor]:
    """What a head that learned its targets by heart would say."""
    batches, _, height, width = targets.heatmap.shape
    codes = np.zeros((batches * height * width, 10), np.float32)
    codes[targets.cells] = np.nan_to_num(targets.codes)
    maps = torch.from_numpy(codes).reshape(batches, height, width, 10).permute(0, 3, 1, 2)
    parts = dict(zip(MAP_NAMES, (part.contiguous() for part in maps.split([2, 1, 3, 2, 2], 1)), strict=True))
    parts["heatmap"] = torch.logit(torch.from_numpy(targets.heatmap).clamp(1e-6, 0.999))
    return parts | {"iou": torch.ones(batches, 1, height, width)}


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 9)


def read_back(targets: CenterTargets) -> list[Candidates]:
    return [suppress(found, DECODING) for found in find_candidates(perfect_maps(targets), MAP, DECODING)]


FIRST = TruthBoxes(
    boxes((3.2, -4.4, 0.7, 4.4, 1.8, 1.5, 2.5, 3.0, -1.0), (-10.1, 6.3, 0.9, 0.7, 0.6, 1.7, -3.0, 0.5, 0.1)),
    np.array([0, 1]),
)
SECOND = TruthBoxes(boxes((15.9, 7.9, -1.0, 9.0, 2.5, 3.0, 0.2, 0.0, 0.0)), np.array([2]))


def test_perfect_maps_give_the_boxes_back() -> None:
    for truth, found in zip((FIRST, SECOND), read_back(targets_of(FIRST, SECOND)), strict=True):
        np.testing.assert_array_equal(found.labels, truth.labels)
        np.testing.assert_allclose(found.boxes, truth.boxes, atol=2e-5)
        np.testing.assert_allclose(found.scores, 0.999, rtol=1e-5)


def test_scores_follow_the_expected_overlap_as_much_as_the_decoding_says() -> None:
    maps = perfect_maps(targets_of(FIRST)) | {"iou": torch.full((1, 1, 32, 64), 0.8)}
    for power, factor in ((0, 1.0), (1, 0.8), (2, 0.64), (3, 0.512)):
        decoding = DECODING.model_copy(update={"iou_power": power, "min_score": 0.5})
        (found,) = find_candidates(maps, MAP, decoding)
        np.testing.assert_allclose(np.sort(found.scores)[-2:], 0.999 * factor, rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.integers(0, 3),
            st.floats(-3.9, 3.9),
            st.floats(-1.9, 1.9),
            st.floats(0.4, 3.5),
            st.floats(0.4, 1.9),
            st.floats(-3.1, 3.1),
            st.integers(0, 2),
        ),
        unique_by=lambda place: place[:2],
        max_size=8,
    )
)
def test_any_boxes_apart_from_each_other_come_back(places: list[tuple[float, ...]]) -> None:
    rows = [
        (-12 + 8 * column + dx, -6 + 4 * row + dy, 0.5, length, width, 1.5, yaw, 1.0, 2.0)
        for column, row, dx, dy, length, width, yaw, _ in places
    ]
    truth = TruthBoxes(boxes(*rows), np.array([place[-1] for place in places], np.int64))
    targets = targets_of(truth)
    decoding = DECODING.model_copy(update={"suppression": (SuppressionSettings(iou=1.0),) * 3, "min_score": 0.998})
    (found,) = find_candidates(perfect_maps(targets), MAP, decoding)
    cells = np.unique(targets.cells * 3 + truth.labels)
    assert len(found.scores) == len(cells)
    for box, label in zip(found.boxes, found.labels, strict=True):
        near = np.abs(truth.boxes - box).max(1)
        assert near.min() < 1e-4 or len(np.unique(targets.cells)) < len(rows)
        assert label in truth.labels


def test_the_head_writes_yaw_clockwise_and_places_from_the_cells_corner() -> None:
    truth = TruthBoxes(boxes((0.6, -7.9, 0.5, np.e, 1.0, 1.0, np.pi / 2, np.nan, np.nan)), np.array([1]))
    targets = targets_of(truth)
    assert targets.cells.tolist() == [0 * 64 + 33]
    np.testing.assert_allclose(targets.codes[0], [0.2, 0.2, 0.5, 1, 0, 0, -1, 0, np.nan, np.nan], atol=1e-6)
    assert targets.heatmap[0, 1, 0, 33] == 1
    assert not targets.heatmap[0, [0, 2]].any()


def test_what_is_outside_the_map_is_left_out() -> None:
    outside = TruthBoxes(boxes((16.0, 0, 0, 1, 1, 1, 0, 0, 0), (0, -8.01, 0, 1, 1, 1, 0, 0, 0)), np.array([0, 0]))
    targets = targets_of(outside, TruthBoxes(boxes(), np.empty(0, np.int64)))
    assert not targets.heatmap.any()
    assert [len(part) for part in targets[1:]] == [0, 0, 0]


def test_cells_of_a_batch_count_on() -> None:
    targets = targets_of(FIRST, SECOND)
    assert targets.cells.tolist() == [7 * 64 + 38, 28 * 64 + 11, 32 * 64 + 31 * 64 + 63]


@pytest.mark.parametrize(
    ("size", "overlap", "expected"),
    [
        ((14.0625, 5.9375), 0.1, 3),  # a car of 4.5 x 1.9 m in cells of 0.32 m
        ((10.0, 10.0), 0.7, 2),  # (-28 + sqrt(28 ** 2 + 4 * 2.8 * 30)) / 2 = 2.73
        ((100.0, 100.0), 0.7, 27),
        ((1.0, 1.0), 0.1, 0),
    ],
)
def test_radii(size: tuple[float, float], overlap: float, expected: int) -> None:
    radius = gaussian_radii(np.array([size]), HeatSettings(overlap, 0))
    assert radius.tolist() == [expected]
    assert gaussian_radii(np.array([size]), HeatSettings(overlap, 2)).tolist() == [max(expected, 2)]


def test_a_gaussian_has_the_width_that_its_radius_says() -> None:
    heatmap = np.zeros((5, 6), np.float32)
    draw_gaussian(heatmap, 1, 2, 2)
    sigma = 5 / 6
    assert heatmap[2, 1] == 1
    np.testing.assert_allclose(heatmap[2, 3], np.exp(-4 / (2 * sigma**2)), rtol=1e-6)
    np.testing.assert_allclose(heatmap[0, 0], np.exp(-5 / (2 * sigma**2)), rtol=1e-6)
    assert not heatmap[:, 4:].any()
    before = heatmap.copy()
    draw_gaussian(heatmap, 2, 2, 1)
    assert (heatmap >= before).all()
    assert heatmap[2, 1] == heatmap[2, 2] == 1


def test_classes_are_taken_by_name() -> None:
    found = Boxes3D(
        centers=np.arange(9, dtype=np.float32).reshape(3, 3),
        sizes=np.ones((3, 3), np.float32),
        yaws=np.array([1, 2, 3], np.float32),
        class_names=("pedestrian", "barrier", "car"),
        scores=np.ones(3, np.float32),
        velocities=np.full((3, 2), np.nan, np.float32),
    )
    truth = truth_boxes(found, ("car", "pedestrian"))
    assert truth.labels.tolist() == [1, 0]
    np.testing.assert_array_equal(truth.boxes[:, 6], [1, 3])
    assert truth_boxes(found, ("truck",)).boxes.shape == (0, 9)
