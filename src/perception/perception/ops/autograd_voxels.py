"""Dense voxelisation and its read-back as differentiable PyTorch functions, for training PVConv.

Differentiable in the features and voxels only: the official PVCNN detaches the coordinates too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from perception import ops


def dense_voxelize(features: Tensor, coordinates: Tensor, resolution: int) -> Tensor:
    """Average features [B, C, N] in the cells of coordinates [B, 3, N]: [B, C, r, r, r] (see `ops.dense_voxelize`)."""
    result: Tensor = _DenseVoxelize.apply(features, coordinates, resolution)
    return result


def dense_devoxelize(voxels: Tensor, coordinates: Tensor) -> Tensor:
    """Read voxels [B, C, r, r, r] at coordinates [B, 3, N], trilinearly: [B, C, N]."""
    result: Tensor = _DenseDevoxelize.apply(voxels, coordinates)
    return result


class _DenseVoxelize(Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, coordinates: Tensor, resolution: int) -> Tensor:
        ctx.coordinates = coordinates.detach().contiguous()
        voxels, ctx.counts = ops.dense_voxelize(features.contiguous(), ctx.coordinates, resolution)
        return torch.as_tensor(voxels)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        spread = ops.dense_voxelize_gradient(gradient.contiguous(), ctx.coordinates, ctx.counts)
        return torch.as_tensor(spread), None, None


class _DenseDevoxelize(Function):
    @staticmethod
    def forward(ctx: Any, voxels: Tensor, coordinates: Tensor) -> Tensor:
        ctx.coordinates, ctx.resolution = coordinates.detach().contiguous(), voxels.shape[2]
        return torch.as_tensor(ops.dense_devoxelize(voxels.contiguous(), ctx.coordinates))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        spread = ops.dense_devoxelize_gradient(gradient.contiguous(), ctx.coordinates, ctx.resolution)
        return torch.as_tensor(spread), None
