import numpy as np
import pytest
import torch

from perception import ops
from perception.ops import autograd_voxels, reference_voxels

TOLERANCE = 2e-6
# batches, channels, points, resolution
SIZES = [(1, 1, 1, 1), (2, 3, 0, 4), (0, 3, 5, 4), (1, 4, 1, 8), (3, 5, 300, 6), (2, 19, 1000, 12), (1, 2, 3000, 2)]


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def some_coordinates(batches, points, resolution):
    """Anywhere in the grid, on halves and on the ends of every axis too: float32 [B, 3, N]."""
    rng = np.random.default_rng([batches, points, resolution])
    anywhere = rng.uniform(0, resolution - 1, (batches, 3, points))
    halves = np.round(2 * anywhere) / 2
    return np.where(rng.random(anywhere.shape) < 0.5, anywhere, halves).astype(np.float32)


def assert_close(actual, expected):
    expected = expected.detach().numpy()
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE * max(1.0, np.abs(expected).max(initial=0)))


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize(
    ("batches", "points", "resolution"), [(1, 1, 1), (0, 3, 4), (2, 0, 4), (3, 700, 32), (2, 2, 5)]
)
def test_coordinates_equal_the_reference(batches, points, resolution, normalize, threads, device):
    clouds = (5 * normal(batches, 3, points) + 20).astype(np.float32)
    expected = reference_voxels.dense_coordinates(torch.from_numpy(clouds).double(), resolution, normalize, 0.01)
    there = device.array(clouds)
    found = ops.dense_coordinates(there, resolution, normalize=normalize, eps=0.01, threads=threads)
    # Coordinates are sums with the mean of the cloud: the last places of a far cloud's points are lost in any order.
    np.testing.assert_allclose(device.numpy(found), expected.numpy(), rtol=0, atol=2e-6 * resolution + 1e-6)


def test_a_cloud_without_extent_goes_to_the_middle(device):
    clouds = np.full((2, 3, 9), 7.3, np.float32)
    assert (device.numpy(ops.dense_coordinates(device.array(clouds), 8)) == 4).all()
    assert (device.numpy(ops.dense_coordinates(device.array(clouds), 8, normalize=False)) == 4).all()


@pytest.mark.parametrize("sizes", SIZES)
def test_voxels_and_their_gradient_equal_the_reference(sizes, threads, device):
    batches, channels, points, resolution = sizes
    coordinates, features = some_coordinates(batches, points, resolution), normal(batches, channels, points)
    leaf, there = torch.from_numpy(features).double().requires_grad_(), device.array(coordinates)
    expected = reference_voxels.dense_voxelize(leaf, torch.from_numpy(coordinates), resolution)
    voxels, counts = ops.dense_voxelize(device.array(features), there, resolution, threads)
    assert_close(device.numpy(voxels), expected)
    assert device.numpy(counts).sum() == batches * points
    gradient = normal(*expected.shape)
    (expected,) = torch.autograd.grad(expected, leaf, torch.from_numpy(gradient).double())
    found = ops.dense_voxelize_gradient(device.array(gradient), there, counts, threads)
    assert_close(device.numpy(found), expected)


@pytest.mark.parametrize("sizes", SIZES)
def test_reading_and_its_gradient_equal_the_reference(sizes, threads, device):
    batches, channels, points, resolution = sizes
    coordinates, voxels = some_coordinates(batches, points, resolution), normal(batches, channels, *[resolution] * 3)
    leaf, there = torch.from_numpy(voxels).double().requires_grad_(), device.array(coordinates)
    expected = reference_voxels.dense_devoxelize(leaf, torch.from_numpy(coordinates).double())
    assert_close(device.numpy(ops.dense_devoxelize(device.array(voxels), there, threads)), expected)
    gradient = normal(*expected.shape)
    (expected,) = torch.autograd.grad(expected, leaf, torch.from_numpy(gradient).double())
    found = ops.dense_devoxelize_gradient(device.array(gradient), there, resolution, threads)
    assert_close(device.numpy(found), expected)


def test_all_points_in_one_cell(device):
    features = normal(2, 3, 400)
    there = device.array(np.full((2, 3, 400), 2.5, np.float32))  # half to even: cell 2
    voxels, counts = device.numpy(ops.dense_voxelize(device.array(features), there, 5))
    assert counts[:, 2, 2, 2].tolist() == [400, 400]
    np.testing.assert_allclose(voxels[:, :, 2, 2, 2], features.mean(2), atol=1e-6)
    voxels[:, :, 2, 2, 2] = 0
    assert not voxels.any()


@pytest.mark.large
def test_a_large_cloud(threads, device):
    points, features = normal(1, 3, 300000), normal(1, 4, 300000)
    coordinates = ops.dense_coordinates(device.array(points), 64, threads=threads)
    voxels, _ = ops.dense_voxelize(device.array(features), coordinates, 64, threads)
    there = torch.from_numpy(device.numpy(coordinates))
    expected = reference_voxels.dense_voxelize(torch.from_numpy(features).double(), there, 64)
    assert_close(device.numpy(voxels), expected)
    expected = reference_voxels.dense_devoxelize(expected, there.double())
    assert_close(device.numpy(ops.dense_devoxelize(voxels, coordinates, threads)), expected)


def test_gradients_reach_the_features():
    features = torch.randn(2, 3, 50, dtype=torch.float64)
    coordinates = torch.from_numpy(some_coordinates(2, 50, 4))
    single, double = features.float().requires_grad_(), features.clone().requires_grad_()
    found = autograd_voxels.dense_devoxelize(autograd_voxels.dense_voxelize(single, coordinates, 4), coordinates)
    voxels = reference_voxels.dense_voxelize(double, coordinates, 4)
    expected = reference_voxels.dense_devoxelize(voxels, coordinates.double())
    (found,) = torch.autograd.grad(found, single, torch.ones(2, 3, 50))
    (expected,) = torch.autograd.grad(expected, double, torch.ones(2, 3, 50, dtype=torch.float64))
    assert_close(found.numpy(), expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.01, 3.01])
def test_coordinates_outside_the_grid(bad, device):
    coordinates = some_coordinates(1, 6, 4)
    coordinates[0, 1, 3] = bad
    features, voxels = device.array(normal(1, 2, 6)), device.array(normal(1, 2, 4, 4, 4))
    there, counts = device.array(coordinates), device.array(np.ones((1, 4, 4, 4), np.int32))
    calls = (
        lambda: ops.dense_voxelize(features, there, 4)[1],
        lambda: ops.dense_devoxelize(voxels, there),
        lambda: ops.dense_voxelize_gradient(voxels, there, counts),
        lambda: ops.dense_devoxelize_gradient(features, there, 4),
    )
    if device.kind == "cpu":
        for call in calls:
            with pytest.raises(ValueError, match=r"a coordinate lies outside 0\.\.resolution - 1"):
                call()
        return
    assert device.numpy(calls[0]()).sum() == 5
    assert not device.numpy(calls[1]())[:, :, 3].any()
    assert not device.numpy(calls[2]())[:, :, 3].any()
    assert np.isfinite(device.numpy(calls[3]())).all()


def test_a_point_that_is_no_number_is_an_error():
    points = normal(2, 3, 5)
    points[1, 2, 3] = np.nan
    with pytest.raises(ValueError, match="a point is NaN or infinite; remove such points first"):
        ops.dense_coordinates(points, 4)


@pytest.mark.parametrize("resolution", [0, -1, 1025])
def test_the_resolution_has_bounds(resolution, device):
    points = device.array(normal(1, 3, 5))
    for call in (ops.dense_coordinates, lambda p, r: ops.dense_voxelize(p, p, r)):
        with pytest.raises(ValueError, match=r"the resolution must lie in 1\.\.1024"):
            call(points, resolution)


def test_shapes_that_do_not_fit_are_errors():
    with pytest.raises(ValueError, match=r"coordinates must have the shape \[2, 3, 7\], found \[2, 3, 6\]"):
        ops.dense_voxelize(normal(2, 4, 7), normal(2, 3, 6), 4)
    with pytest.raises(ValueError, match=r"voxels must have the shape \[1, 2, 4, 4, 4\], found \[1, 2, 4, 4, 5\]"):
        ops.dense_devoxelize(normal(1, 2, 4, 4, 5), normal(1, 3, 6))
    with pytest.raises(ValueError, match="eps must be a number of at least 0"):
        ops.dense_coordinates(normal(1, 3, 5), 4, eps=-1)
