import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from perception import ops
from perception.ops import reference

CUBES = hnp.arrays(np.bool_, st.tuples(st.integers(1, 2), *[st.integers(1, 5)] * 3))


def brute_force(coords, size):
    """Compare every pair of voxels."""
    table = np.full((len(coords), size**3), -1, np.int32)
    for out, center in enumerate(coords):
        for row, voxel in enumerate(coords):
            step = voxel[1:] - center[1:] + size // 2
            if voxel[0] == center[0] and ((step >= 0) & (step < size)).all():
                table[out, step @ [1, size, size * size]] = row
    return table


@pytest.mark.parametrize("size", [1, 3, 5])
def test_submanifold_equals_the_reference(coords, threads, size):
    expected = reference.submanifold_table(torch.from_numpy(coords), size).numpy()
    np.testing.assert_array_equal(ops.submanifold_table(coords, size, threads), expected)


@settings(max_examples=60, deadline=None)
@given(CUBES, st.integers(-4, 4), st.randoms(use_true_random=False))
def test_submanifold_equals_brute_force(cubes, shift, random):
    rows = np.argwhere(cubes).astype(np.int32)
    rows[:, 1:] += shift
    order = list(range(len(rows)))
    random.shuffle(order)
    coords = np.ascontiguousarray(rows[order])
    for size in (3, 5):
        np.testing.assert_array_equal(ops.submanifold_table(coords, size), brute_force(coords, size))


def test_a_hash_can_be_shared(coords):
    rows = ops.CoordinateHash(coords)
    np.testing.assert_array_equal(ops.submanifold_table(rows), ops.submanifold_table(coords))


def test_strided_equals_the_reference(coords):
    level = ops.downsample(coords)
    parent, offset = torch.from_numpy(level.parent), torch.from_numpy(level.offset)
    expected = reference.strided_table(parent, offset, len(level.coords)).numpy()
    np.testing.assert_array_equal(ops.strided_table(level.parent, level.offset, len(level.coords)), expected)


def test_transposed_equals_the_reference_and_turns_back(coords):
    level = ops.downsample(coords)
    table = ops.strided_table(level.parent, level.offset, len(level.coords))
    for original, inputs in ((table, len(coords)), (ops.submanifold_table(coords), len(coords))):
        transposed = ops.transpose_table(original, inputs)
        expected = reference.transpose_table(torch.from_numpy(original), inputs).numpy()
        np.testing.assert_array_equal(transposed, expected)
        np.testing.assert_array_equal(ops.transpose_table(transposed, len(original)), original)


@pytest.mark.parametrize("size", [0, 2, 9, -3])
def test_only_small_odd_kernels_exist(size):
    with pytest.raises(ValueError, match="kernel size must be 1, 3, 5 or 7"):
        ops.submanifold_table(np.zeros((1, 4), np.int32), size)


def test_rows_that_do_not_exist_are_errors():
    parent, offset = np.array([0, 1], np.int32), np.array([0, 0], np.uint8)
    with pytest.raises(ValueError, match="parent names a row that does not exist"):
        ops.strided_table(parent, offset, 1)
    with pytest.raises(ValueError, match="two rows have the same parent and offset"):
        ops.strided_table(parent * 0, offset, 1)
    with pytest.raises(ValueError, match="offset must lie in"):
        ops.strided_table(parent, offset + np.uint8(8), 2)
    with pytest.raises(ValueError, match="the table names an input row that does not exist"):
        ops.transpose_table(np.array([[3]], np.int32), 3)
    with pytest.raises(ValueError, match="one weight uses an input row twice"):
        ops.transpose_table(np.array([[0], [0]], np.int32), 1)
