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


@pytest.fixture(params=[1, 2, 8])
def stride(request):
    return request.param


@pytest.fixture
def trilinear(coords, stride):
    return ops.trilinear_table(points_around(coords, stride), coords, stride)


def test_trilinear_table_equals_the_reference(coords, stride, trilinear, threads):
    points = points_around(coords, stride)
    indices, weights = ops.trilinear_table(points, ops.CoordinateHash(coords), stride, threads)
    expected = reference.trilinear_table(torch.from_numpy(points), torch.from_numpy(coords), stride)
    np.testing.assert_array_equal(indices, expected[0].numpy())
    # The last bits of a point's place in its cell are magnified where all voxels but the farthest corner are absent.
    assert_close(weights, expected[1])


def test_devoxelize_and_its_gradient_equal_the_reference(coords, trilinear, threads):
    indices, weights = trilinear
    for channels in (1, 3, 4, 19, 64, 77):
        features, gradient = normal(len(coords), channels), normal(len(indices), channels, seed=1)
        leaf = torch.from_numpy(features).double().requires_grad_()
        result = reference.devoxelize(leaf, torch.from_numpy(indices), torch.from_numpy(weights).double())
        (expected,) = torch.autograd.grad(result, leaf, torch.from_numpy(gradient).double())
        assert_close(ops.devoxelize(features, indices, weights, threads), result)
        assert_close(ops.devoxelize_gradient(gradient, indices, weights, len(coords), threads), expected)


@pytest.mark.parametrize(("points", "voxels"), [(0, 0), (0, 3), (1, 1), (500, 1), (500, 90), (20000, 3000)])
@pytest.mark.parametrize("channels", [1, 5, 32, 70])
def test_scatter_mean_and_its_gradient_equal_the_reference(points, voxels, channels, threads):
    index = np.random.default_rng(3).integers(-1, max(voxels, 1), points).astype(np.int32)
    features, gradient = normal(points, channels), normal(voxels, channels, seed=1)
    leaf = torch.from_numpy(features).double().requires_grad_()
    expected = reference.scatter_mean(leaf, torch.from_numpy(index), voxels)
    means, counts = ops.scatter_mean(features, index, voxels, threads)
    assert_close(means, expected)
    np.testing.assert_array_equal(counts, np.bincount(index[index >= 0], minlength=voxels))
    (expected,) = torch.autograd.grad(expected, leaf, torch.from_numpy(gradient).double())
    assert_close(ops.scatter_mean_gradient(gradient, index, counts, threads), expected)


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
