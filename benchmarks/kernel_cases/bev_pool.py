"""BEV pooling of six cameras as in BEVFusion: 118 depths x 32 x 88 pixels, 80 channels into 360 x 360 cells."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from benchmarks.kernel_cases import Case, Context
from perception import ops

GRID = ops.BevGrid.from_bounds([(-54.0, 54.0, 0.3), (-54.0, 54.0, 0.3), (-10.0, 10.0, 20.0)])
CAMERA_YAWS_DEG = (0, -55, 55, 180, 110, -110)
FOCAL_PIXELS, CENTRE_PIXELS, IMAGE_SIZE = 608.0, (360.0, 60.0), (256, 704)
CHANNELS = 80


def frustum_points(feature_size: tuple[int, int], depths_m: np.ndarray) -> np.ndarray:
    """Points of six level cameras around a car, in its frame: float32 [6, D, h, w, 3]."""
    v, u = (np.linspace(0, size - 1, count) for size, count in zip(IMAGE_SIZE, feature_size, strict=True))
    forward, v, u = np.meshgrid(depths_m, v, u, indexing="ij")
    left = (CENTRE_PIXELS[0] - u) / FOCAL_PIXELS * forward
    up = (CENTRE_PIXELS[1] - v) / FOCAL_PIXELS * forward
    yaws = np.deg2rad(CAMERA_YAWS_DEG)[:, None, None, None]
    x, y = np.cos(yaws) * forward - np.sin(yaws) * left, np.sin(yaws) * forward + np.cos(yaws) * left
    return np.stack([x, y, np.broadcast_to(up, x.shape)], -1).astype(np.float32)


def lift_sort_cumsum(depth: Tensor, context: Tensor, plan: ops.BevPlan) -> Callable[[], Tensor]:
    """Pool as the official Python code does (QuickCumsum), with everything about the calibration ready."""
    order = torch.from_numpy(plan.order[: plan.begins[-1]]).long()
    cells = torch.from_numpy(plan.cells)[order].long()
    last_of_cell = torch.ones(len(cells), dtype=torch.bool)
    last_of_cell[:-1] = cells[1:] != cells[:-1]
    found = cells[last_of_cell]
    x, y, _ = plan.shape

    def pool() -> Tensor:
        volume = depth.unsqueeze(1) * context.unsqueeze(2)
        rows = volume.permute(0, 2, 3, 4, 1).reshape(-1, volume.shape[1])
        sums = rows[order].cumsum(0)[last_of_cell]
        sums = torch.cat([sums[:1], sums[1:] - sums[:-1]])
        bev = torch.zeros(x * y, volume.shape[1])
        bev[found] = sums
        return bev.reshape(1, x, y, -1).permute(0, 3, 1, 2).contiguous()

    return pool


def cases(context: Context) -> list[Case]:
    """Lift and pool a frame, and make the plan that it needs once per calibration."""
    depths_m = np.arange(1, 60, 4.0 if context.fast else 0.5)
    points = frustum_points((32, 88), depths_m)
    plan = ops.bev_plan(points, GRID, threads=context.threads)
    generator = torch.Generator().manual_seed(0)
    depth = torch.randn(points.shape[:-1], generator=generator).softmax(1)
    features = torch.randn(6, CHANNELS, 32, 88, generator=generator)
    peer = lift_sort_cumsum(depth, features, plan)
    ours = torch.from_numpy(ops.lift_pool(depth, features, plan, threads=context.threads))
    torch.testing.assert_close(ours, peer(), rtol=1e-2, atol=1e-2)  # the peer's differences of long sums are coarse
    size = f"6 x {len(depths_m)} x 32 x 88, {CHANNELS} channels to 360 x 360"
    volume_mb = 4e-6 * depth.numel() * CHANNELS
    return [
        Case(
            f"lift and pool {size}",
            lambda: ops.lift_pool(depth, features, plan, threads=context.threads),
            "PyTorch lift + sort + cumsum",
            peer,
            required=None if context.fast else 30.0,
            note=f"the peer's volume has {volume_mb:.0f} MB; ours is never written",
        ),
        Case(
            f"plan of {size}",
            lambda: ops.bev_plan(points, GRID, threads=context.threads),
            note="once per calibration",
        ),
    ]
