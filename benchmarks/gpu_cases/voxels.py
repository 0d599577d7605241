"""Voxels, kernel maps, convolution, between points and voxels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.gpu_operations import Operation, Setting
from perception import ops

CHANNELS = (32, 64, 96, 128, 256)


def operations(setting: Setting) -> Iterator[Operation]:
    """Yield what SPVCNN and MinkUNet need, on one scan at 0.05 m."""
    device, points = setting.device, setting.device.array(setting.points)
    voxels = ops.voxelize(points, 0.05)
    coords, table = voxels.coords, ops.submanifold_table(voxels.coords)
    n, p = len(coords), len(setting.points)
    level = ops.downsample(coords)
    coarse = len(level.coords)
    yield Operation(f"voxelize, {p} points", lambda: ops.voxelize(points, 0.05), 16 * p + 20 * n + 4 * p)
    yield Operation(f"hash build, {n}", lambda: ops.CoordinateHash(coords), 16 * n + 24 * n)
    yield Operation(f"unique, {n}", lambda: ops.unique(coords), 16 * n + 24 * n)
    yield Operation(f"downsample, {n}", lambda: ops.downsample(coords), 16 * n + 16 * coarse + 5 * n)
    yield Operation(f"submanifold table k3, {n}", lambda: ops.submanifold_table(coords), 16 * n + 108 * n)
    arguments = (level.parent, level.offset, coarse)
    yield Operation(f"strided table k2, {n}", lambda: ops.strided_table(*arguments), 5 * n + 32 * coarse)
    yield from _convolutions(setting, table)
    yield from _points(setting, voxels, points)
    grid = ops.VoxelGrid((-54.0, -54.0, -5.0), (54.0, 54.0, 3.0), (0.075, 0.075, 0.2))
    yield Operation(f"hard voxels, {p} points", lambda: ops.voxelize_hard(points, grid, 10, 120000), 16 * p + 200 * n)
    del device


def _convolutions(setting: Setting, table: object) -> Iterator[Operation]:
    rows = len(table)
    pairs = int((setting.device.numpy(table) >= 0).sum())
    for dtype in (np.float32, np.float16):
        size = np.dtype(dtype).itemsize
        for channels in CHANNELS[: 2 if setting.fast else None]:
            features = setting.floats(rows, channels, dtype=dtype)
            weight = setting.floats(27, channels, channels, dtype=dtype)
            moved = 108 * rows + size * (2 * rows * channels + 27 * channels**2)
            yield Operation(
                f"convolution k3, {rows} x {channels}, {np.dtype(dtype).name}",
                lambda f=features, w=weight: ops.sparse_convolution(f, table, w, relu=True),
                moved,
                2.0 * pairs * channels**2,
                dtype is np.float16,
            )
    features = setting.floats(rows, 64)
    yield Operation(
        f"weight gradient k3, {rows} x 64",
        lambda: ops.weight_gradient(features, features, table),
        108 * rows + 512 * rows,
        2.0 * pairs * 64**2,
    )


def _points(setting: Setting, voxels: ops.Voxels, points: object) -> Iterator[Operation]:
    count, rows = len(setting.points), len(voxels.coords)
    at = setting.points / 0.05
    batch_first = np.concatenate([np.zeros((count, 1)), at[:, :3] - np.floor(at[:, :3].min(0))], 1).astype(np.float32)
    located = setting.device.array(batch_first)
    grid = ops.CoordinateHash(voxels.coords)
    indices, weights = ops.trilinear_table(located, grid, 1)
    yield Operation(f"trilinear table, {count}", lambda: ops.trilinear_table(located, grid, 1), 80 * count)
    features, point_features = setting.floats(rows, 64), setting.floats(count, 64)
    moved = 256 * (rows + count) + 64 * count
    yield Operation(f"devoxelize, {count} x 64", lambda: ops.devoxelize(features, indices, weights), moved)
    arguments = (point_features, voxels.inverse, rows)
    yield Operation(
        f"scatter mean, {count} x 64", lambda: ops.scatter_mean(*arguments), 256 * (rows + count) + 4 * count
    )
    del points
