"""BEV pooling."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.gpu_operations import Operation, Setting
from perception import ops


def operations(setting: Setting) -> Iterator[Operation]:
    """Yield what BEVFusion needs, in the sizes of its published configuration."""
    cameras, depths, height, width, channels, cells = (
        (1, 8, 4, 6, 16, 20) if setting.fast else (6, 118, 32, 88, 80, 360)
    )
    grid = ops.BevGrid.from_bounds([(-54, 54, 108 / cells), (-54, 54, 108 / cells), (-10, 10, 20)])
    frustum = _frustum(cameras, depths, height, width)
    points = setting.device.array(frustum)
    plan = ops.bev_plan(points, grid)
    count = cameras * depths * height * width
    yield Operation(f"BEV plan, {count} points", lambda: ops.bev_plan(points, grid), 12 * count + 8 * count)
    for dtype in (np.float32, np.float16):
        size = np.dtype(dtype).itemsize
        depth = setting.floats(cameras, depths, height, width, dtype=dtype)
        context = setting.floats(cameras, channels, height, width, dtype=dtype)
        moved = size * (count + cameras * channels * height * width + channels * cells**2) + 4 * count
        yield Operation(
            f"lift + BEV pool, {count} points x {channels}, {np.dtype(dtype).name}",
            lambda d=depth, c=context: ops.lift_pool(d, c, plan),
            moved,
            2.0 * count * channels,
        )


def _frustum(cameras: int, depths: int, height: int, width: int) -> np.ndarray:
    """Points of cameras that look outwards all around: float32 [cameras, depths, height, width, 3]."""
    yaw = 2 * np.pi * np.arange(cameras) / cameras
    depth_m, u, v = np.linspace(1, 60, depths), np.linspace(-0.7, 0.7, width), np.linspace(-0.25, 0.25, height)
    forward, side, up = np.broadcast_arrays(
        depth_m[:, None, None], -u * depth_m[:, None, None], -v[:, None] * depth_m[:, None, None]
    )
    cosine, sine = np.cos(yaw)[:, None, None, None], np.sin(yaw)[:, None, None, None]
    xyz = [cosine * forward - sine * side, sine * forward + cosine * side, up + 0 * cosine]
    return np.stack(xyz, -1).astype(np.float32)
