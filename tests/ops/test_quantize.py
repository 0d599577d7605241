import ctypes

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perception import ops
from perception.ops import binding, reference


def assert_same(actual, expected):
    for name in expected._fields:
        wanted = getattr(expected, name).numpy()
        found = getattr(actual, name)
        assert found.dtype == wanted.dtype, name
        np.testing.assert_array_equal(found, wanted, err_msg=name)


def random_points(rows, seed=0):
    return np.random.default_rng(seed).normal(0, 8, (rows, 4)).astype(np.float32)


@pytest.mark.parametrize("rows", [0, 1, 2, 5000, 40000])
@pytest.mark.parametrize("from_minimum", [True, False])
def test_voxelize_equals_the_reference(rows, from_minimum, threads, device):
    points = random_points(rows)
    found = ops.voxelize(device.array(points), 0.3, from_minimum=from_minimum, batch=2, threads=threads)
    expected = reference.voxelize(torch.from_numpy(points), 0.3, from_minimum=from_minimum, batch=2)
    assert_same(device.numpy(found), expected)


@pytest.mark.large
def test_many_points_equal_the_reference(device):
    points = 3 * random_points(300000)
    assert_same(
        device.numpy(ops.voxelize(device.array(points), 0.2)), reference.voxelize(torch.from_numpy(points), 0.2)
    )


def test_all_points_in_one_voxel(device):
    voxels = device.numpy(ops.voxelize(device.array(np.full((300, 3), 1.01, np.float32)), 0.2))
    assert voxels.coords.tolist() == [[0, 0, 0, 0]]
    assert voxels.first.tolist() == [0]
    assert not voxels.inverse.any()


def test_halves_round_to_even(device):
    points = np.array([[0.5, 1.5, 2.5], [-0.5, -1.5, -2.5]], np.float32)
    assert device.numpy(ops.quantize(device.array(points), 1.0)).tolist() == [[0, 2, 2], [0, -2, -2]]


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 2.0))
def test_quantize_equals_float32_division(device, seed, size):
    points = random_points(200, seed)
    expected = np.rint(points[:, :3] / np.float32(size)).astype(np.int32)
    np.testing.assert_array_equal(device.numpy(ops.quantize(device.array(points), size)), expected)


def unaligned(points):
    """The points as a message may hold them, 19 bytes a row."""
    message = np.zeros(len(points), [("xyz", "<f4", 3), ("odd", "u1", 7)])
    message["xyz"] = points[:, :3]
    return message


def test_rows_of_a_message_need_no_copy():
    points = random_points(1000)
    np.testing.assert_array_equal(ops.quantize(unaligned(points)["xyz"], 0.1), ops.quantize(points, 0.1))
    np.testing.assert_array_equal(ops.quantize(points[::2], 0.1), ops.quantize(points, 0.1)[::2])


def test_the_library_reads_unaligned_rows_anywhere(device):
    points = random_points(100)
    message, size_m = unaligned(points), (ctypes.c_float * 3)(0.1, 0.1, 0.1)
    coords = device.array(np.zeros((100, 3), np.int32))
    binding.call("pk_quantize", device.array(message.view(np.uint8)), 100, message.itemsize, size_m, coords)
    np.testing.assert_array_equal(device.numpy(coords), reference.quantize(torch.from_numpy(points), 0.1))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_point_that_is_no_number_is_named(bad, threads):
    points = random_points(30000)
    points[[20123, 25000], 1] = bad
    for call in (ops.quantize, ops.voxelize):
        with pytest.raises(ValueError, match="point 20123 is NaN or infinite; remove such points first"):
            call(points, 0.2, threads=threads)


@pytest.mark.parametrize("from_minimum", [True, False])
def test_points_too_far_away_are_an_error(from_minimum, device):
    points = np.array([[0, 0, 0], [1e6, 0, 0], [2e6, 0, 0]], np.float32)
    with pytest.raises(ValueError, match=r"row 1 \(batch 3, x 20000000, y 0, z 0\) lies outside"):
        ops.voxelize(device.array(points), 0.05, from_minimum=from_minimum, batch=3)
    with pytest.raises(ValueError, match="point 1 is too far away"):
        ops.voxelize(device.array(points * 1e6), 0.05)


def test_a_point_too_far_away_cannot_be_quantized():
    with pytest.raises(ValueError, match="point 1 is too far away"):
        ops.quantize(np.array([[0, 0, 0], [1e12, 0, 0]], np.float32), 0.05)


@pytest.mark.parametrize("batch", [-1, 4096])
def test_the_batch_has_bounds(batch, device):
    with pytest.raises(ValueError, match=rf"row 0 \(batch {batch}, .* lies outside batch 0\.\.4095"):
        ops.voxelize(device.array(random_points(3)), 0.2, batch=batch)


@pytest.mark.parametrize("size", [0, -1, np.nan, np.inf])
def test_the_voxel_size_must_be_positive(size, device):
    with pytest.raises(ValueError, match="voxel size must be a positive number"):
        ops.voxelize(device.array(random_points(3)), size)


@pytest.mark.large
def test_real_scan_equals_the_reference(semantic_kitti_scan, device):
    points = np.fromfile(semantic_kitti_scan, np.float32).reshape(-1, 4)
    found = device.numpy(ops.voxelize(device.array(points), 0.05))
    assert_same(found, reference.voxelize(torch.from_numpy(points), 0.05))
