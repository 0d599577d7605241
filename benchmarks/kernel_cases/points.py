"""Between points and voxels: one scan at 0.05 m, as SPVNAS sees it, and the grids of BEVFusion and PVConv."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from benchmarks.kernel_cases import Case, Context
from perception import ops

VOXEL_SIZE_M = 0.05
CHANNELS = (32, 64, 96, 256)
BEVFUSION_GRID = ops.VoxelGrid((-54.0, -54.0, -5.0), (54.0, 54.0, 3.0), (0.075, 0.075, 0.2))
BEVFUSION_LIMITS = (10, 160000)


def gather(features: Tensor, indices: Tensor, weights: Tensor) -> Callable[[], Tensor]:
    """Interpolate in plain PyTorch; absent corners, whose weight is 0, read row 0."""
    rows, weights = indices.clamp(min=0).long(), weights.unsqueeze(2)
    return lambda: (features[rows] * weights).sum(1)


def voxelize_unique(points: Tensor) -> Callable[[], tuple[Tensor, Tensor]]:
    """Voxelise in plain PyTorch: distinct packed coordinates (their order is by coordinate, not of occurrence)."""

    def voxelize() -> tuple[Tensor, Tensor]:
        xyz = torch.round(points[:, :3] / VOXEL_SIZE_M).long()
        xyz -= xyz.amin(0)
        key = (xyz[:, 0] << 40) | (xyz[:, 1] << 20) | xyz[:, 2]
        distinct, inverse = torch.unique(key, return_inverse=True)
        coords = torch.stack([distinct >> 40, (distinct >> 20) & 0xFFFFF, distinct & 0xFFFFF], 1)
        return coords.int(), inverse

    return voxelize


def index_add_mean(features: Tensor, index: Tensor, count: int) -> Callable[[], Tensor]:
    """Average in plain PyTorch."""

    def average() -> Tensor:
        sums = torch.zeros(count, features.shape[1]).index_add_(0, index, features)
        return sums / torch.bincount(index, minlength=count).unsqueeze(1)

    return average


def dense_voxelize(features: Tensor, coordinates: Tensor, resolution: int) -> Callable[[], Tensor]:
    """Average in the cells of a dense grid in plain PyTorch."""

    def average() -> Tensor:
        x, y, z = torch.round(coordinates).long().unbind(1)
        cell = ((x * resolution + y) * resolution + z).unsqueeze(1)
        sums = torch.zeros(*features.shape[:2], resolution**3).scatter_add_(2, cell.expand_as(features), features)
        counts = torch.zeros(len(features), 1, resolution**3).scatter_add_(2, cell, torch.ones(cell.shape))
        return sums / counts.clamp_(min=1)

    return average


def grid_sample(voxels: Tensor, coordinates: Tensor) -> Callable[[], Tensor]:
    """Read a dense grid in plain PyTorch, which has a function for it."""
    unit = coordinates.permute(0, 2, 1).flip(2) / (voxels.shape[2] - 1) * 2 - 1
    where = unit.reshape(len(voxels), 1, 1, -1, 3)
    return lambda: torch.nn.functional.grid_sample(voxels, where, align_corners=True)


def scan_cases(context: Context) -> list[Case]:
    """Voxelise a scan, average its points, and read its voxels at the points."""
    points, threads = context.points, context.threads
    tensor = torch.from_numpy(points)
    voxels = ops.voxelize(points, VOXEL_SIZE_M)
    scaled = points[:, :3] / np.float32(VOXEL_SIZE_M)
    scaled = np.pad(scaled - np.rint(scaled).min(0), ((0, 0), (1, 0)))
    rows, count = ops.CoordinateHash(voxels.coords), len(voxels.coords)
    indices, weights = ops.trilinear_table(scaled, rows, 1)
    size = f"{len(points)} points"
    found = [
        Case(
            f"voxelize, {size}",
            lambda: ops.voxelize(points, VOXEL_SIZE_M, threads=threads),
            "torch.unique",
            voxelize_unique(tensor),
        ),
        Case(
            f"hard voxelize (BEVFusion), {size}",
            lambda: ops.voxelize_hard(points, BEVFUSION_GRID, *BEVFUSION_LIMITS, threads=threads),
        ),
        Case(f"trilinear table, {size}", lambda: ops.trilinear_table(scaled, rows, 1, threads)),
    ]
    for channels in CHANNELS[:1] if context.fast else CHANNELS:
        features = torch.randn(count, channels, generator=torch.Generator().manual_seed(0))
        of_points = torch.randn(len(points), channels, generator=torch.Generator().manual_seed(1))
        found += [
            Case(
                f"devoxelize, {size}, {channels} channels",
                lambda features=features: ops.devoxelize(features, indices, weights, threads),
                "PyTorch gather",
                gather(features, torch.from_numpy(indices), torch.from_numpy(weights)),
                required=4,
            ),
            Case(
                f"scatter mean, {size}, {channels} channels",
                lambda of_points=of_points: ops.scatter_mean(of_points, voxels.inverse, count, threads),
                "PyTorch index_add",
                index_add_mean(of_points, torch.from_numpy(voxels.inverse).long(), count),
            ),
        ]
    return found


def dense_cases(context: Context) -> list[Case]:
    """Four clouds of 8,192 points into 32^3 cells and back, as a PVConv of 64 channels does."""
    threads, resolution = context.threads, 32
    generator = torch.Generator().manual_seed(0)
    points, features = torch.randn(4, 3, 8192, generator=generator), torch.randn(4, 64, 8192, generator=generator)
    coordinates = torch.as_tensor(ops.dense_coordinates(points, resolution))
    voxels = torch.as_tensor(ops.dense_voxelize(features, coordinates, resolution)[0])
    return [
        Case(
            "dense voxelize, 4 x 8192 points, 64 channels, 32^3",
            lambda: ops.dense_voxelize(features, coordinates, resolution, threads),
            "PyTorch scatter_add",
            dense_voxelize(features, coordinates, resolution),
        ),
        Case(
            "dense devoxelize, 4 x 8192 points, 64 channels, 32^3",
            lambda: ops.dense_devoxelize(voxels, coordinates, threads),
            "PyTorch grid_sample",
            grid_sample(voxels, coordinates),
        ),
    ]


def cases(context: Context) -> list[Case]:
    """Everything between points and voxels."""
    return scan_cases(context) + dense_cases(context)
