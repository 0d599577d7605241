import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from perception import ops
from perception.ops import reference

VALID = st.integers(-65504, 65503)
ROWS = hnp.arrays(np.int32, st.tuples(st.integers(0, 60), st.just(4)), elements=st.integers(-3, 3)).map(
    lambda rows: np.concatenate([np.abs(rows[:, :1]), rows[:, 1:]], 1)
)


def assert_same(actual, expected):
    for name in expected._fields:
        wanted = getattr(expected, name).numpy()
        found = getattr(actual, name)
        assert found.dtype == wanted.dtype, name
        np.testing.assert_array_equal(found, wanted, err_msg=name)


def random_points(rows, seed=0):
    return np.random.default_rng(seed).normal(0, 8, (rows, 4)).astype(np.float32)


def test_hash_finds_every_row_and_nothing_else(coords, threads):
    rows = ops.CoordinateHash(coords, threads)
    np.testing.assert_array_equal(rows.query(coords, threads), np.arange(len(coords)))
    moved = np.clip(coords + np.array([0, 0, 1, 0]), -65504, 65503).astype(np.int32)
    expected = reference.query(torch.from_numpy(coords), torch.from_numpy(moved))
    np.testing.assert_array_equal(rows.query(moved, threads), expected)


@given(st.lists(st.tuples(st.integers(0, 4095), VALID, VALID, VALID), unique=True, max_size=40))
def test_hash_tells_all_valid_coordinates_apart(rows):
    coords = np.array(rows, np.int32).reshape(-1, 4)
    np.testing.assert_array_equal(ops.CoordinateHash(coords).query(coords), np.arange(len(coords)))


@pytest.mark.parametrize(
    "row", [(-1, 0, 0, 0), (4096, 0, 0, 0), (0, 65504, 0, 0), (0, 0, -65505, 0), (0, 0, 0, 2**31 - 1)]
)
def test_out_of_range_is_an_error_never_a_wrap(row):
    coords = np.array([(0, 0, 0, 0), row], np.int32)
    for call in (ops.CoordinateHash, ops.unique, ops.downsample, ops.CoordinateHash(coords[:1]).query):
        with pytest.raises(ValueError, match=r"row 1 \(batch .* lies outside batch 0\.\.4095"):
            call(coords)


def test_the_same_voxel_twice_cannot_be_hashed():
    with pytest.raises(ValueError, match="rows 0 and 2 are the same voxel"):
        ops.CoordinateHash(np.array([[0, 1, 1, 1], [0, 1, 1, 2], [0, 1, 1, 1]], np.int32))


@given(ROWS)
def test_unique_and_downsample_equal_the_reference(rows):
    coords = np.ascontiguousarray(rows)
    assert_same(ops.unique(coords), reference.unique(torch.from_numpy(coords)))
    assert_same(ops.downsample(coords), reference.downsample(torch.from_numpy(coords)))


def test_downsample_of_every_cloud_equals_the_reference(coords):
    assert_same(ops.downsample(coords), reference.downsample(torch.from_numpy(coords)))


@pytest.mark.parametrize("rows", [0, 1, 2, 5000, 40000])
@pytest.mark.parametrize("from_minimum", [True, False])
def test_voxelize_equals_the_reference(rows, from_minimum, threads):
    points = random_points(rows)
    found = ops.voxelize(points, 0.3, from_minimum=from_minimum, batch=2, threads=threads)
    assert_same(found, reference.voxelize(torch.from_numpy(points), 0.3, from_minimum=from_minimum, batch=2))


def test_all_points_in_one_voxel():
    voxels = ops.voxelize(np.full((300, 3), 1.01, np.float32), 0.2)
    assert voxels.coords.tolist() == [[0, 0, 0, 0]]
    assert voxels.first.tolist() == [0]
    assert not voxels.inverse.any()


def test_halves_round_to_even():
    points = np.array([[0.5, 1.5, 2.5], [-0.5, -1.5, -2.5]], np.float32)
    assert ops.quantize(points, 1.0).tolist() == [[0, 2, 2], [0, -2, -2]]


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 2.0))
def test_quantize_equals_float32_division(seed, size):
    points = random_points(200, seed)
    expected = np.rint(points[:, :3] / np.float32(size)).astype(np.int32)
    np.testing.assert_array_equal(ops.quantize(points, size), expected)


def test_rows_of_a_message_need_no_copy():
    points = random_points(1000)
    message = np.zeros(1000, [("xyz", "<f4", 3), ("odd", "u1", 7)])  # 19 bytes a row: unaligned
    message["xyz"] = points[:, :3]
    np.testing.assert_array_equal(ops.quantize(message["xyz"], 0.1), ops.quantize(points, 0.1))
    np.testing.assert_array_equal(ops.quantize(points[::2], 0.1), ops.quantize(points, 0.1)[::2])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_point_that_is_no_number_is_named(bad, threads):
    points = random_points(30000)
    points[[20123, 25000], 1] = bad
    for call in (ops.quantize, ops.voxelize):
        with pytest.raises(ValueError, match="point 20123 is NaN or infinite; remove such points first"):
            call(points, 0.2, threads=threads)


def test_points_too_far_away_are_an_error():
    points = np.array([[0, 0, 0], [1e6, 0, 0]], np.float32)
    with pytest.raises(ValueError, match="lies outside"):
        ops.voxelize(points, 0.05)
    with pytest.raises(ValueError, match="point 1 is too far away"):
        ops.quantize(points * 1e6, 0.05)


@pytest.mark.parametrize("size", [0, -1, np.nan, np.inf])
def test_the_voxel_size_must_be_positive(size):
    with pytest.raises(ValueError, match="voxel size must be a positive number"):
        ops.voxelize(random_points(3), size)


def test_real_scan_equals_the_reference(semantic_kitti_scan):
    points = np.fromfile(semantic_kitti_scan, np.float32).reshape(-1, 4)
    assert_same(ops.voxelize(points, 0.05), reference.voxelize(torch.from_numpy(points), 0.05))
