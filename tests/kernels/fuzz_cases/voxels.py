"""Voxels, kernel maps, points, convolution."""

import numpy as np

from perception import ops


def fuzz_hash(draw):
    found = ops.CoordinateHash(draw.coords(draw.rows(), distinct=draw.choice(True, True, False)))
    found.query(draw.coords(draw.rows(), distinct=False))


def fuzz_unique(draw):
    ops.unique(draw.coords(draw.rows(), distinct=False))


def fuzz_downsample(draw):
    ops.downsample(draw.coords(draw.rows()))


def fuzz_submanifold_table(draw):
    ops.submanifold_table(draw.coords(draw.rows()), draw.choice(1, 3, 3, 5, 2, -1, 0))


def fuzz_strided_table(draw):
    rows, coarse = draw.rows(), draw.rows()
    parent, offset = draw.integers(rows, -1, coarse - 1), draw.integers(rows, 0, 7, np.uint8)
    ops.strided_table(parent, offset, coarse)


def fuzz_transpose_table(draw):
    inputs = draw.rows()
    ops.transpose_table(draw.integers((draw.rows(), draw.choice(1, 8, 27)), -1, inputs - 1), inputs)


def fuzz_voxelize(draw):
    points = draw.floats(draw.rows(), draw.integer(3, 6), scale=draw.choice(1.0, 50.0))
    ops.voxelize(points, draw.choice(0.05, 1.0, 0.0, -1.0, 1e-30), from_minimum=draw.choice(True, False))
    ops.quantize(points, 0.2)


def _layer(draw, volume, weight_shape):
    dtype = draw.choice(np.float32, np.float16)
    features = draw.floats(draw.rows(), weight_shape[0], dtype=dtype)
    weight = draw.floats(volume, *weight_shape, dtype=dtype)
    bias = draw.floats(weight_shape[1]) if draw.choice(True, False) else None
    return features, weight, bias, dtype


def fuzz_sparse_convolution(draw):
    volume, shape = draw.choice(1, 8, 27, 33), (draw.channels(), draw.channels())
    features, weight, bias, dtype = _layer(draw, volume, shape)
    table = draw.integers((draw.rows(), volume), -1, len(features) - 1)
    residual = draw.floats(len(table), shape[1], dtype=dtype) if draw.choice(True, False) else None
    ops.sparse_convolution(features, table, weight, bias, residual, draw.choice(True, False))


def fuzz_inverse_convolution(draw):
    features, weight, bias, _ = _layer(draw, 8, (draw.channels(), draw.channels()))
    rows = draw.rows()
    parent, offset = draw.integers(rows, -1, len(features) - 1), draw.integers(rows, 0, 8, np.uint8)
    ops.inverse_convolution(features, parent, offset, weight, bias)


def fuzz_weight_gradient(draw):
    features = draw.floats(draw.rows(), draw.channels())
    table = draw.integers((draw.rows(), draw.choice(1, 8, 27)), -1, len(features) - 1)
    ops.weight_gradient(features, draw.floats(len(table), draw.channels()), table)


def fuzz_trilinear(draw):
    points = draw.host_floats(draw.rows(), 4, scale=3)
    points[:, 0] = np.abs(np.round(points[:, 0]))
    coords, channels = draw.coords(draw.rows(), draw.choice(2, 5)), draw.channels()
    indices, weights = ops.trilinear_table(draw.put(points), coords, draw.choice(1, 2, 4, 0))
    ops.devoxelize(draw.floats(len(coords), channels), indices, weights)


def fuzz_devoxelize(draw):
    features, points = draw.floats(draw.rows(), draw.channels()), draw.rows()
    indices, weights = draw.integers((points, 8), -1, len(features) - 1), draw.floats(points, 8)
    ops.devoxelize(features, indices, weights)
    ops.devoxelize_gradient(draw.floats(points, features.shape[1]), indices, weights, len(features))


def fuzz_scatter_mean(draw):
    points, voxels, channels = draw.rows(), draw.rows(), draw.channels()
    index = draw.integers(points, -1, voxels - 1)
    _, counts = ops.scatter_mean(draw.floats(points, channels), index, voxels)
    ops.scatter_mean_gradient(draw.floats(voxels, channels), index, counts)
