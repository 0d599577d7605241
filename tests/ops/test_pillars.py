"""Pillars, their features and their map against the plain reference."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from perception import ops
from perception.ops import reference_pillars

GRID = ops.PillarGrid((-4.0, -3.0, -2.0), (0.5, 0.25, 4.0), height=24, width=16)


def uniform(rows, low, high, channels=5, seed=0):
    rng = np.random.default_rng([seed, rows])
    points = rng.uniform(0, 1, (rows, channels)).astype(np.float32)
    points[:, :3] = rng.uniform(low, high, (rows, 3))
    return points


def on_borders():
    x, y = np.meshgrid(np.arange(-4.5, 4.6, 0.5), np.arange(-3.25, 3.3, 0.25))
    return np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], 1).astype(np.float32)


#: Points and batch elements.
CLOUDS = {
    "empty": (np.zeros((0, 5), np.float32), 1),
    "one": (np.array([[1, 1, 0, 0.5]], np.float32), 1),
    "random": (uniform(2000, (-4, -3, -2), (4, 3, 2)), 1),
    "one pillar": (uniform(500, (0.01, 0.01, -1), (0.2, 0.2, 1)), 1),
    "mostly outside": (uniform(700, (-9, -9, -5), (9, 9, 5)), 2),
    "nothing inside": (uniform(50, (20, 20, 0), (30, 30, 1)), 2),
    "batches": (uniform(1500, (-4, -3, -2), (4, 3, 2), channels=3), 5),
    "on borders": (on_borders(), 1),
}


@pytest.fixture(params=CLOUDS)
def cloud(request):
    points, batches = CLOUDS[request.param]
    batch = np.random.default_rng(1).integers(0, batches, len(points)).astype(np.int32)
    if batches > 3:
        batch[batch == 2] = 1  # an element without points
    return points, batch, batches


@pytest.fixture(params=["inside", "clamped", "first dropped", "clamped, first dropped"])
def grid(request):
    return replace(GRID, clamp="clamped" in request.param, drop_first="dropped" in request.param)


def found(device, points, grid, batch=None, batches=1, threads=2):
    there = None if batch is None else device.array(batch)
    return ops.find_pillars(device.array(points), grid, there, batches, threads)


def check_pillars(device, points, grid, batch, batches, threads=2):
    actual = device.numpy(found(device, points, grid, batch, batches, threads))
    expected = reference_pillars.find_pillars(torch.from_numpy(points), grid, torch.from_numpy(batch), batches)
    assert actual.counts == expected.counts
    for name in ("coords", "order", "begins", "pillar"):
        np.testing.assert_array_equal(getattr(actual, name), getattr(expected, name).numpy(), err_msg=name)
    return expected


def check_features(device, points, grid, batch, batches, threads=2):
    expected = check_pillars(device, points, grid, batch, batches, threads)
    pillars = found(device, points, grid, batch, batches)
    actual = device.numpy(ops.pillar_features(device.array(points), grid, pillars, threads))
    wanted = reference_pillars.pillar_features(torch.from_numpy(points).double(), grid, expected).numpy()
    assert actual.shape == wanted.shape
    scale = np.abs(points).max(initial=1)
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=1e-6 * scale)


def test_pillars_and_features_equal_the_reference(device, cloud, grid, threads):
    check_features(device, cloud[0], grid, *cloud[1:], threads=threads)


def test_features_lose_nothing_far_from_the_origin(device):
    grid = ops.PillarGrid((-74.88, -74.88, -2.0), (0.32, 0.32, 6.0), 468, 468)
    points = uniform(5000, (74.5, 74.5, -2), (74.8, 74.8, 4))
    check_features(device, points, grid, np.zeros(5000, np.int32), 1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_points_that_are_not_finite_belong_to_no_pillar(device, value, axis):
    points = uniform(300, (-4, -3, -2), (4, 3, 2))
    points[::7, axis] = value
    batch = np.zeros(300, np.int32)
    expected = check_pillars(device, points, GRID, batch, 1)
    assert len(expected.order) == 300 - 43
    check_pillars(device, points, replace(GRID, clamp=True), batch, 1)


def test_points_of_other_batch_elements_belong_to_no_pillar(device):
    points = uniform(300, (-4, -3, -2), (4, 3, 2))
    batch = np.random.default_rng(0).integers(-2, 4, 300).astype(np.int32)
    expected = check_pillars(device, points, GRID, batch, 2)
    assert set(expected.coords[:, 0].tolist()) == {0, 1}


def test_one_batch_element_needs_no_batch(device):
    points = uniform(300, (-4, -3, -2), (4, 3, 2))
    none, zeros = found(device, points, GRID), found(device, points, GRID, np.zeros(300, np.int32))
    for one, other in zip(device.numpy(none), device.numpy(zeros), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.large
def test_300_000_points_at_any_number_of_threads(device):
    points = uniform(300_000, (-75, -75, -2), (75, 75, 4))
    points[:150_000] = uniform(150_000, (-5, -5, -2), (5, 5, 4))
    batch = np.random.default_rng(0).integers(0, 3, 300_000).astype(np.int32)
    grid = ops.PillarGrid((-74.88, -74.88, -2.0), (0.32, 0.32, 6.0), 468, 468)
    for threads in (1, 4):
        check_features(device, points, grid, batch, 3, threads)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("kind", ["max", "mean"])
@pytest.mark.parametrize("channels", [1, 7, 64, 130])
def test_segments_equal_the_reference(device, channels, kind, dtype, threads):
    for sizes in ([], [0], [3], [0, 1, 5, 0, 0, 2, 300, 0]):
        begins = np.cumsum([0, *sizes]).astype(np.int32)
        features = np.random.default_rng(0).standard_normal((begins[-1], channels)).astype(dtype)
        result = ops.segment_reduce(device.array(features), device.array(begins), kind, threads)
        expected = reference_pillars.segment_reduce(torch.from_numpy(features).double(), torch.from_numpy(begins), kind)
        tolerance = 1e-6 if dtype == np.float32 else 1e-3
        np.testing.assert_allclose(device.numpy(result), expected.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", ["max", "mean"])
@pytest.mark.parametrize("row", [0, 1, 2])
def test_what_is_not_a_number_is_not_lost(device, kind, row):
    features = np.zeros((6, 20), np.float32)
    features[row, 3] = np.nan
    begins = device.array(np.array([0, 3, 6], np.int32))
    result = device.numpy(ops.segment_reduce(device.array(features), begins, kind))
    assert np.isnan(result[0, 3])
    assert np.isnan(result).sum() == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    ("rows", "channels", "batches", "size"),
    [(0, 3, 2, (4, 5)), (1, 1, 1, (1, 1)), (90, 17, 2, (9, 13)), (40, 64, 3, (33, 4))],
)
def test_map_equals_the_reference(device, rows, channels, batches, size, channels_last, dtype, threads):
    rng = np.random.default_rng(rows)
    features = rng.standard_normal((rows, channels)).astype(dtype)
    coords = np.stack([rng.integers(0, limit, rows) for limit in (batches, *size)], 1).astype(np.int32)
    result = ops.pillars_to_map(device.array(features), device.array(coords), batches, size, channels_last, threads)
    expected = reference_pillars.pillars_to_map(torch.from_numpy(features), torch.from_numpy(coords), batches, size)
    expected = expected.permute(0, 2, 3, 1) if channels_last else expected
    np.testing.assert_array_equal(device.numpy(result), expected.numpy())


POINTS, COORDS = np.zeros((4, 4), np.float32), np.zeros((4, 3), np.int32)
BEGINS = np.array([0, 2, 4], np.int32)
BAD_CALLS = {
    "points must be float32, found float64": lambda: ops.find_pillars(POINTS.astype(np.float64), GRID),
    "the number of channels must lie in 3..65536": lambda: ops.find_pillars(np.zeros((4, 2), np.float32), GRID),
    "batch must have the shape": lambda: ops.find_pillars(POINTS, GRID, np.zeros(3, np.int32)),
    "height and width must be at least 1": lambda: ops.find_pillars(POINTS, replace(GRID, height=0)),
    "the number of batch elements, height": lambda: ops.find_pillars(POINTS, GRID, batches=0),
    "the map has more than 2\\^28 cells": lambda: ops.find_pillars(POINTS, replace(GRID, height=1 << 20, width=257)),
    "the pillar size must be a positive number": lambda: ops.find_pillars(POINTS, replace(GRID, size_m=(1, 0, 1))),
    "the minimum of the grid must be a number": lambda: ops.find_pillars(
        POINTS, replace(GRID, minimum_m=(np.nan, 0, 0))
    ),
    "order names a point that does not exist": lambda: ops.pillar_features(
        POINTS, GRID, ops.Pillars(COORDS[:1], (1,), np.array([4], np.int32), BEGINS[:2] // 2, COORDS[:1, 0].copy())
    ),
    "begins must cover all points of order": lambda: ops.pillar_features(
        POINTS, GRID, ops.Pillars(COORDS[:1], (1,), np.arange(3, dtype=np.int32), BEGINS[:2], COORDS[:3, 0].copy())
    ),
    "begins must ascend": lambda: ops.segment_reduce(POINTS, BEGINS[::-1].copy(), "max"),
    "begins name a row that does not exist": lambda: ops.segment_reduce(POINTS, BEGINS + 1, "max"),
    "begins must hold one more element": lambda: ops.segment_reduce(POINTS, BEGINS[:0], "max"),
    "kind must be max or mean, found 'sum'": lambda: ops.segment_reduce(POINTS, BEGINS, "sum"),
    "pillar 2 lies outside the map": lambda: ops.pillars_to_map(
        POINTS, COORDS + np.eye(4, 3, -2, np.int32) * 9, 9, (9, 9)
    ),
    "coords must have the shape": lambda: ops.pillars_to_map(POINTS, COORDS[:3], 1, (9, 9)),
    "a map cannot have the shape": lambda: ops.pillars_to_map(POINTS, COORDS, 1, (-9, 9)),
}


@pytest.mark.parametrize("message", BAD_CALLS)
def test_bad_calls_say_what_is_wrong(message):
    call = BAD_CALLS[message]
    with pytest.raises(ValueError, match=message):
        call()
