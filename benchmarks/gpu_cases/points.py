"""What voxels.py leaves out between points and voxels: gradients, float16, cells of a grid, PVConv's dense grids."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.gpu_operations import Operation, Setting
from perception import ops

CHANNELS = 64
BEVFUSION_GRID = ops.VoxelGrid((-54.0, -54.0, -5.0), (54.0, 54.0, 3.0), (0.075, 0.075, 0.2))


def operations(setting: Setting) -> Iterator[Operation]:
    """Yield what training and half precision need of a scan, then a PVConv of 64 channels."""
    points, count = setting.device.array(setting.points), len(setting.points)
    yield Operation(f"quantize, {count} points", lambda: ops.quantize(points, 0.05), (16 + 12) * count)
    yield Operation(f"grid cells, {count} points", lambda: ops.grid_cells(points, BEVFUSION_GRID), (16 + 12) * count)
    yield from _interpolation(setting, count)
    yield from _averages(setting, count)
    yield from _dense(setting)


def _interpolation(setting: Setting, count: int) -> Iterator[Operation]:
    """Eight corners at random: worse than a scan, whose neighbours share their voxels."""
    rows = max(count * 3 // 4, 1)
    indices = setting.device.array(setting.random.integers(0, rows, (count, 8)).astype(np.int32))
    weights, halves = setting.floats(count, 8), setting.floats(rows, CHANNELS, dtype=np.float16)
    gradient = setting.floats(count, CHANNELS)
    values = CHANNELS * (rows + count)
    yield Operation(
        f"devoxelize, {count} x {CHANNELS}, float16, corners at random",
        lambda: ops.devoxelize(halves, indices, weights),
        2 * values + 64 * count,
    )
    yield Operation(
        f"devoxelize gradient, {count} x {CHANNELS}, corners at random",
        lambda: ops.devoxelize_gradient(gradient, indices, weights, rows),
        4 * values + 64 * count,
    )


def _averages(setting: Setting, count: int) -> Iterator[Operation]:
    """Point features into voxels that hold one to two of them."""
    rows = max(count * 3 // 4, 1)
    index = setting.device.array(setting.random.integers(0, rows, count).astype(np.int32))
    halves, gradient = setting.floats(count, CHANNELS, dtype=np.float16), setting.floats(rows, CHANNELS)
    _, counts = ops.scatter_mean(halves, index, rows)
    values = CHANNELS * (rows + count)
    yield Operation(
        f"scatter mean, {count} x {CHANNELS}, float16",
        lambda: ops.scatter_mean(halves, index, rows),
        2 * values + 4 * (rows + count),
    )
    yield Operation(
        f"scatter mean gradient, {count} x {CHANNELS}",
        lambda: ops.scatter_mean_gradient(gradient, index, counts),
        4 * values + 4 * (rows + count),
    )


def _dense(setting: Setting) -> Iterator[Operation]:
    """Clouds into small grids and back."""
    batches, points, resolution = (2, 50, 4) if setting.fast else (8, 8192, 32)
    clouds, features = setting.floats(batches, 3, points), setting.floats(batches, CHANNELS, points)
    coordinates = ops.dense_coordinates(clouds, resolution)
    voxels, counts = ops.dense_voxelize(features, coordinates, resolution)
    size = f"{batches} x {points} points, {CHANNELS} channels, {resolution}^3"
    of_clouds = 12 * batches * points
    moved = 4 * batches * CHANNELS * (points + resolution**3) + of_clouds
    yield Operation(f"dense coordinates, {size}", lambda: ops.dense_coordinates(clouds, resolution), 2 * of_clouds)
    yield Operation(f"dense voxelize, {size}", lambda: ops.dense_voxelize(features, coordinates, resolution), moved)
    yield Operation(
        f"dense voxelize gradient, {size}", lambda: ops.dense_voxelize_gradient(voxels, coordinates, counts), moved
    )
    yield Operation(f"dense devoxelize, {size}", lambda: ops.dense_devoxelize(voxels, coordinates), moved)
    yield Operation(
        f"dense devoxelize gradient, {size}",
        lambda: ops.dense_devoxelize_gradient(features, coordinates, resolution),
        moved,
    )
