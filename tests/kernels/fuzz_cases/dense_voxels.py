"""Dense grids around clouds, and features stored as float16."""

import numpy as np

from perception import ops


def fuzz_dense_voxels(draw):
    batches, channels, points = draw.integer(0, 3), draw.choice(1, 3, 7, 8, 9, 17), draw.rows(300)
    resolution = draw.choice(1, 2, 5, 8, 0, 5000)
    clouds = draw.floats(batches, 3, points, scale=draw.choice(0.0, 1.0, 1e30))
    eps = draw.choice(0.0, 1e-6, float("nan"))
    fitted = ops.dense_coordinates(clouds, resolution, normalize=draw.choice(True, False), eps=eps)
    coordinates = draw.choice(fitted, draw.floats(batches, 3, points, scale=2))
    features = draw.floats(batches, channels, points)
    voxels, counts = ops.dense_voxelize(features, coordinates, resolution)
    ops.dense_devoxelize(voxels, coordinates)
    ops.dense_voxelize_gradient(voxels, coordinates, counts)
    ops.dense_devoxelize_gradient(features, coordinates, resolution)


def fuzz_halves(draw):
    points, voxels, channels = draw.rows(), draw.rows(), draw.channels()
    indices, weights = draw.integers((points, 8), -1, voxels - 1), draw.floats(points, 8)
    ops.devoxelize(draw.floats(voxels, channels, dtype=np.float16), indices, weights)
    index = draw.integers(points, -1, voxels - 1)
    ops.scatter_mean(draw.floats(points, channels, dtype=np.float16), index, voxels)
