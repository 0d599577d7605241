import numpy as np
import pytest
import torch

from perception import ops
from perception.ops import reference

TOLERANCE = 2e-6


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def points_around(coords, stride, rows=500):
    """Points near the voxels of a level, some of them outside every voxel: float32 [P, 4]."""
    rng = np.random.default_rng(7)
    near = coords[rng.integers(0, len(coords), rows if len(coords) else 0)].astype(np.float32)
    near[:, 1:] = (near[:, 1:] + rng.uniform(-1.5, 1.5, (len(near), 3))) * stride
    return np.clip(near, -65503, 65503).astype(np.float32)


def assert_close(actual, expected):
    expected = expected.detach().numpy()
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE * max(1.0, np.abs(expected).max(initial=0)))


def assert_rounded_once(actual, expected):
    """Equal the float64 result but for its rounding to half, and that of float32 sums on the way."""
    assert actual.dtype == np.float16
    expected = expected.numpy()
    rounding = np.spacing(np.abs(expected).astype(np.float16)).astype(np.float64) / 2
    sums = TOLERANCE * max(1.0, np.abs(expected).max(initial=0))
    assert (np.abs(actual.astype(np.float64) - expected) <= 1.001 * rounding + sums).all()


def reference_trilinear(coords, stride):
    points = torch.from_numpy(points_around(coords, stride))
    return reference.trilinear_table(points, torch.from_numpy(coords), stride)


@pytest.fixture(params=[1, 2, 8])
def stride(request):
    return request.param


def test_trilinear_table_equals_the_reference(coords, stride, threads, device):
    points = points_around(coords, stride)
    rows = ops.CoordinateHash(device.array(coords))
    indices, weights = device.numpy(ops.trilinear_table(device.array(points), rows, stride, threads))
    expected = reference.trilinear_table(torch.from_numpy(points), torch.from_numpy(coords), stride)
    np.testing.assert_array_equal(indices, expected[0].numpy())
    # The last bits of a point's place in its cell are magnified where all voxels but the farthest corner are absent.
    assert_close(weights, expected[1])


@pytest.mark.parametrize("channels", [1, 3, 4, 19, 64, 77])
def test_devoxelize_and_its_gradient_equal_the_reference(coords, stride, channels, threads, device):
    indices, weights = reference_trilinear(coords, stride)
    table = device.array(indices.numpy()), device.array(weights.numpy())
    features, gradient = normal(len(coords), channels), normal(len(indices), channels, seed=1)
    leaf = torch.from_numpy(features).double().requires_grad_()
    result = reference.devoxelize(leaf, indices, weights.double())
    (expected,) = torch.autograd.grad(result, leaf, torch.from_numpy(gradient).double())
    assert_close(device.numpy(ops.devoxelize(device.array(features), *table, threads)), result)
    found = ops.devoxelize_gradient(device.array(gradient), *table, len(coords), threads)
    assert_close(device.numpy(found), expected)


@pytest.mark.parametrize("channels", [1, 4, 19, 64, 77])
def test_devoxelize_of_halves_rounds_once(coords, channels, threads, device):
    indices, weights = reference_trilinear(coords, 1)
    features = normal(len(coords), channels).astype(np.float16)
    table = device.array(indices.numpy()), device.array(weights.numpy())
    expected = reference.devoxelize(torch.from_numpy(features).double(), indices, weights.double())
    found = device.numpy(ops.devoxelize(device.array(features), *table, threads))
    assert_rounded_once(found, expected)


@pytest.mark.parametrize(("points", "voxels"), [(0, 0), (0, 3), (1, 1), (500, 1), (500, 90), (20000, 3000)])
@pytest.mark.parametrize("channels", [1, 5, 32, 70])
def test_scatter_mean_and_its_gradient_equal_the_reference(points, voxels, channels, threads, device):
    index = np.random.default_rng(3).integers(-1, max(voxels, 1), points).astype(np.int32)
    features, gradient = normal(points, channels), normal(voxels, channels, seed=1)
    leaf, there = torch.from_numpy(features).double().requires_grad_(), device.array(index)
    expected = reference.scatter_mean(leaf, torch.from_numpy(index), voxels)
    means, counts = device.numpy(ops.scatter_mean(device.array(features), there, voxels, threads))
    assert_close(means, expected)
    np.testing.assert_array_equal(counts, np.bincount(index[index >= 0], minlength=voxels))
    (expected,) = torch.autograd.grad(expected, leaf, torch.from_numpy(gradient).double())
    found = ops.scatter_mean_gradient(device.array(gradient), there, device.array(counts), threads)
    assert_close(device.numpy(found), expected)


@pytest.mark.parametrize("channels", [1, 5, 32])
def test_scatter_mean_of_halves_rounds_once(channels, threads, device):
    index = np.random.default_rng(3).integers(-1, 90, 700).astype(np.int32)
    features = (1000 * normal(700, channels)).astype(np.float16)  # a sum of halves would overflow
    expected = reference.scatter_mean(torch.from_numpy(features).double(), torch.from_numpy(index), 90)
    means, _ = device.numpy(ops.scatter_mean(device.array(features), device.array(index), 90, threads))
    assert_rounded_once(means, expected)


@pytest.mark.large
def test_a_large_cloud(threads, device):
    rng = np.random.default_rng(5)
    voxels = ops.unique(np.pad(rng.integers(-40, 40, (300000, 3)), ((0, 0), (1, 0))).astype(np.int32))
    points = np.pad(rng.uniform(-40, 40, (300000, 3)), ((0, 0), (1, 0))).astype(np.float32)
    rows = ops.CoordinateHash(device.array(voxels.coords))
    indices, weights = ops.trilinear_table(device.array(points), rows, 1, threads)
    features = normal(len(voxels.coords), 9)
    found = device.numpy(ops.devoxelize(device.array(features), indices, weights, threads))
    table = (torch.from_numpy(device.numpy(array)) for array in (indices, weights))
    assert_close(found, reference.devoxelize(torch.from_numpy(features), *table))
    features = normal(300000, 9)
    means, _ = ops.scatter_mean(device.array(features), device.array(voxels.inverse), len(voxels.coords), threads)
    expected = reference.scatter_mean(
        torch.from_numpy(features).double(), torch.from_numpy(voxels.inverse), len(voxels.coords)
    )
    assert_close(device.numpy(means), expected)


def test_every_half_is_read_and_written_exactly(device):
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]  # 63,488 of them, subnormal ones and both zeros included
    for channels in (31, 64):
        features = halves.reshape(-1, channels) if len(halves) % channels == 0 else halves[: -(len(halves) % channels)]
        features = features.reshape(-1, channels)
        index = np.arange(len(features), dtype=np.int32)
        means, _ = device.numpy(ops.scatter_mean(device.array(features), device.array(index), len(features)))
        np.testing.assert_array_equal(means, features)


def test_no_points_and_no_voxels():
    none = np.zeros((0, 4), np.int32)
    indices, weights = ops.trilinear_table(normal(5, 4) * np.float32([0, 1, 1, 1]), none, 1)
    assert (indices == -1).all()
    assert not weights.any()
    assert not ops.devoxelize(normal(0, 3), indices, weights).any()
    indices, weights = ops.trilinear_table(np.zeros((0, 4), np.float32), none, 1)
    assert ops.devoxelize(normal(0, 3), indices, weights).shape == (0, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e9])
def test_points_beyond_the_voxels_range_are_errors(value):
    points = np.zeros((3, 4), np.float32)
    points[1, 2] = value
    with pytest.raises(ValueError, match="point 1 is not finite or lies outside"):
        ops.trilinear_table(points, np.zeros((1, 4), np.int32), 1)


def test_voxels_that_do_not_exist_are_errors():
    index = np.array([0, 5], np.int32)
    indices, weights = np.full((2, 8), 5, np.int32), np.ones((2, 8), np.float32)
    features = normal(2, 3)
    for call in (
        lambda: ops.scatter_mean(features, index, 5),
        lambda: ops.scatter_mean_gradient(features, index, np.ones(2, np.int32)),
        lambda: ops.devoxelize(features, indices, weights),
        lambda: ops.devoxelize_gradient(features, indices, weights, 5),
    ):
        with pytest.raises(ValueError, match="an index names a voxel that does not exist"):
            call()
