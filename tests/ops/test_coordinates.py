import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from perception import ops
from perception.ops import reference, reference_maps

VALID = st.integers(-65504, 65503)
ROWS = hnp.arrays(np.int32, st.tuples(st.integers(0, 60), st.just(4)), elements=st.integers(-3, 3)).map(
    lambda rows: np.concatenate([np.abs(rows[:, :1]), rows[:, 1:]], 1)
)

SMALL_ROWS = hnp.arrays(np.int32, st.tuples(st.integers(0, 40), st.just(4)), elements=st.integers(0, 3))


def assert_same(actual, expected):
    for name in expected._fields:
        wanted = getattr(expected, name).numpy()
        found = getattr(actual, name)
        assert found.dtype == wanted.dtype, name
        np.testing.assert_array_equal(found, wanted, err_msg=name)


def test_hash_finds_every_row_and_nothing_else(device, coords, threads):
    rows = ops.CoordinateHash(device.array(coords), threads)
    np.testing.assert_array_equal(device.numpy(rows.query(device.array(coords), threads)), np.arange(len(coords)))
    moved = np.clip(coords + np.array([0, 0, 1, 0]), -65504, 65503).astype(np.int32)
    expected = reference.query(torch.from_numpy(coords), torch.from_numpy(moved))
    np.testing.assert_array_equal(device.numpy(rows.query(device.array(moved), threads)), expected)


@given(st.lists(st.tuples(st.integers(0, 4095), VALID, VALID, VALID), unique=True, max_size=40))
def test_hash_tells_all_valid_coordinates_apart(device, rows):
    coords = device.array(np.array(rows, np.int32).reshape(-1, 4))
    np.testing.assert_array_equal(device.numpy(ops.CoordinateHash(coords).query(coords)), np.arange(len(rows)))


@given(SMALL_ROWS, SMALL_ROWS)
def test_hash_equals_brute_force(device, rows, wanted):
    rows = np.unique(rows, axis=0)
    same = (wanted[:, None] == rows[None]).all(2)
    expected = np.where(same.any(1), same.argmax(1), -1) if len(rows) else np.full(len(wanted), -1)
    found = ops.CoordinateHash(device.array(rows)).query(device.array(wanted))
    np.testing.assert_array_equal(device.numpy(found), expected)


@pytest.mark.parametrize(
    "row", [(-1, 0, 0, 0), (4096, 0, 0, 0), (0, 65504, 0, 0), (0, 0, -65505, 0), (0, 0, 0, 2**31 - 1)]
)
def test_out_of_range_is_an_error_never_a_wrap(device, row):
    coords = np.array([(0, 0, 0, 0), row, row], np.int32)
    for call in (ops.CoordinateHash, ops.unique, ops.downsample):
        with pytest.raises(ValueError, match=r"row 1 \(batch .* lies outside batch 0\.\.4095"):
            call(device.array(coords))
    query = ops.CoordinateHash(device.array(coords[:1])).query
    if device.kind == "cpu":
        with pytest.raises(ValueError, match=r"row 1 \(batch .* lies outside batch 0\.\.4095"):
            query(coords)
    else:  # a query does not wait for the GPU
        assert device.numpy(query(device.array(coords))).tolist() == [0, -1, -1]


def test_the_same_voxel_twice_cannot_be_hashed(device):
    rows = np.array([[0, 1, 1, 1], [0, 1, 1, 2], [0, 1, 1, 1], [0, 1, 1, 2], [0, 1, 1, 1]], np.int32)
    with pytest.raises(ValueError, match="rows 0 and 2 are the same voxel"):
        ops.CoordinateHash(device.array(rows))


@given(ROWS, st.tuples(*[st.integers(1, 4)] * 3))
def test_unique_and_downsample_equal_the_reference(device, rows, stride):
    coords = np.ascontiguousarray(rows)
    voxels = reference.unique(torch.from_numpy(coords))
    assert_same(device.numpy(ops.unique(device.array(coords))), voxels)
    assert_same(device.numpy(ops.downsample(device.array(coords))), reference.downsample(torch.from_numpy(coords)))
    coarser = device.numpy(ops.downsample(device.array(coords), stride))
    assert_same(coarser, reference.downsample(torch.from_numpy(coords), stride))
    counts = ops.voxel_counts(device.array(voxels.inverse.numpy()), len(voxels.coords))
    expected = reference_maps.voxel_counts(voxels.inverse, len(voxels.coords))
    np.testing.assert_array_equal(device.numpy(counts), expected)


@pytest.mark.parametrize("stride", [(2, 2, 2), (1, 1, 2), (3, 1, 5)])
def test_downsample_of_every_cloud_equals_the_reference(device, coords, stride):
    found = device.numpy(ops.downsample(device.array(coords), stride))
    assert_same(found, reference.downsample(torch.from_numpy(coords), stride))


@pytest.mark.large
def test_300000_rows_equal_the_reference(device):
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.integers(0, 4, (300_000, 1)), rng.normal(0, 30, (300_000, 3))], 1).astype(np.int32)
    expected = reference.unique(torch.from_numpy(rows))
    found = device.numpy(ops.unique(device.array(rows)))
    assert_same(found, expected)
    assert_same(device.numpy(ops.downsample(device.array(rows))), reference.downsample(torch.from_numpy(rows)))
    distinct = device.array(found.coords)
    rows = device.numpy(ops.CoordinateHash(distinct).query(device.array(rows)))
    np.testing.assert_array_equal(rows, expected.inverse)


def test_rows_of_no_voxel_are_not_counted(device):
    inverse = device.array(np.array([2, -1, 0, 2, -1], np.int32))
    assert device.numpy(ops.voxel_counts(inverse, 4)).tolist() == [1, 0, 2, 0]


def test_calls_that_make_no_sense_are_errors():
    coords, inverse = np.zeros((2, 4), np.int32), np.zeros(2, np.int32)
    for stride, message in ((0, "must lie in 1..256"), (-1, "must lie in 1..256"), (7, "at most 256")):
        with pytest.raises(ValueError, match=message):
            ops.downsample(coords, stride)
    with pytest.raises(ValueError, match=r"stride must be one number or three \(x, y, z\), found 2"):
        ops.downsample(coords, (1, 2))
    with pytest.raises(ValueError, match="inverse names a voxel that does not exist"):
        ops.voxel_counts(inverse + 1, 1)
