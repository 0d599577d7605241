"""What sparse layers compute with: the native kernels, or the plain PyTorch that says what those mean.

A frame's tables hold one of the two, and every layer asks the tables of its input; nothing is global.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from perception import ops
from perception.ops import autograd, reference, reference_maps, reference_voxels


@dataclass(frozen=True)
class Backend:
    """The operations of the sparse layers; `perception.ops.reference` says what each one means.

    Attributes:
        coordinates: takes in voxels int32 [N, 4], an array or a tensor. What the other operations make of it (tables,
            parents, offsets) is passed between them as it is.
        downsample: voxels -> coarser voxels, parent and offset of each voxel.
        submanifold_table: voxels -> their 3x3x3 neighbours, int32 [N, 27], x fastest.
        strided_table: parent, offset, coarse voxels -> the children of each, int32 [M, 8], z fastest.
        window_outputs: voxels, size, stride, padding, shape= -> voxels of the next level.
        window_table: voxels, those of the next level, size, stride, padding -> int32 [M, K], x fastest.
        voxelize_hard: points, VoxelGrid, most points of a voxel, most voxels, batch number -> voxels int32 [V, 4] and
            the means of their points, float32 [V, C].
        trilinear_table: input voxels (one point each), voxels of a level, its stride -> the 8 rows of that level
            around each point and their weights, [P, 8] both.
        sparse_convolution: features, table, weight, submanifold=bool -> [N_out, C_out]; differentiable.
        inverse_convolution: features, parent, offset, weight -> [N, C_out]; differentiable.
        fused_convolution: features, table, weight, bias, residual, relu -> [N_out, C_out]; for inference.
        fused_inverse_convolution: features, parent, offset, weight, bias, residual, relu -> [N, C_out]; for inference.
        devoxelize: features, rows, weights -> [P, C]; differentiable in the features.
        scatter_mean: features, the voxel of each, voxels (whatever has as many rows) -> [M, C]; differentiable in the
            features.
    """

    coordinates: Callable[[Any], Any]
    downsample: Callable[[Any], Any]
    submanifold_table: Callable[[Any], Any]
    strided_table: Callable[[Any, Any, Any], Any]
    window_outputs: Callable[..., Any]
    window_table: Callable[..., Any]
    voxelize_hard: Callable[[Tensor, ops.VoxelGrid, int, int, int], tuple[Any, Tensor]]
    trilinear_table: Callable[[Any, Any, int], tuple[Any, Any]]
    sparse_convolution: Callable[..., Tensor]
    inverse_convolution: Callable[[Tensor, Any, Any, Tensor], Tensor]
    fused_convolution: Callable[..., Tensor]
    fused_inverse_convolution: Callable[..., Tensor]
    devoxelize: Callable[[Tensor, Any, Any], Tensor]
    scatter_mean: Callable[[Tensor, Any, Any], Tensor]


def _where_it_lies(coords: Any) -> Any:
    """Keep a CUDA tensor on its GPU; anything else becomes a NumPy array."""
    return coords if getattr(coords, "is_cuda", False) else np.asarray(coords)


def _trilinear_table(points: Any, coords: Any, stride: int) -> tuple[Any, Any]:
    floats = points.float() if isinstance(points, Tensor) else points.astype(np.float32)
    return ops.trilinear_table(floats, coords, stride)


def _strided_table(parent: Any, offset: Any, coarse: Any) -> Any:
    return ops.strided_table(parent, offset, len(coarse))


def _voxelize_hard(
    points: Tensor, grid: ops.VoxelGrid, max_points: int, max_voxels: int, batch: int
) -> tuple[Any, Tensor]:
    found = ops.voxelize_hard(points, grid, max_points, max_voxels, batch=batch, with_points=False)
    return found.coords, torch.as_tensor(found.means)


def _scatter_mean(features: Tensor, rows: Any, voxels: Any) -> Tensor:
    return autograd.scatter_mean(features, rows, len(voxels))


def _fused_convolution(*arguments: Any) -> Tensor:
    return torch.as_tensor(ops.sparse_convolution(*arguments))


def _fused_inverse_convolution(*arguments: Any) -> Tensor:
    return torch.as_tensor(ops.inverse_convolution(*arguments))


def _plain_convolution(features: Tensor, table: Tensor, weight: Tensor, *, submanifold: bool) -> Tensor:
    del submanifold  # it only spares the native backward pass some work
    return reference.sparse_convolution(features, table, weight)


def _plain_strided_table(parent: Tensor, offset: Tensor, coarse: Any) -> Tensor:
    return reference.strided_table(parent, offset, len(coarse))


def _plain_voxelize_hard(
    points: Tensor, grid: ops.VoxelGrid, max_points: int, max_voxels: int, batch: int
) -> tuple[Tensor, Tensor]:
    size = grid.voxel_size_m if isinstance(grid.voxel_size_m, Sequence) else (grid.voxel_size_m,) * 3
    cells = reference_voxels.grid_cells(points, grid.low_m, grid.high_m, size)
    found = reference_voxels.voxelize_hard(points, cells, max_points, max_voxels, batch)
    return found.coords, found.means


def _plain_scatter_mean(features: Tensor, rows: Tensor, voxels: Any) -> Tensor:
    return reference.scatter_mean(features, rows, len(voxels))


def _plain_trilinear_table(points: Tensor, coords: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    return reference.trilinear_table(points.float(), coords, stride)


#: The kernels: on the CPU, or on the GPU that holds the coordinates and features. Float32 and float16.
NATIVE = Backend(
    coordinates=_where_it_lies,
    downsample=ops.downsample,
    submanifold_table=ops.submanifold_table,
    strided_table=_strided_table,
    window_outputs=ops.window_outputs,
    window_table=ops.window_table,
    voxelize_hard=_voxelize_hard,
    trilinear_table=_trilinear_table,
    sparse_convolution=autograd.sparse_convolution,
    inverse_convolution=autograd.inverse_convolution,
    fused_convolution=_fused_convolution,
    fused_inverse_convolution=_fused_inverse_convolution,
    devoxelize=autograd.devoxelize,
    scatter_mean=_scatter_mean,
)

#: Plain PyTorch on the CPU, slow, in any floating-point type, differentiated by PyTorch itself.
REFERENCE = Backend(
    coordinates=torch.as_tensor,
    downsample=reference.downsample,
    submanifold_table=reference.submanifold_table,
    strided_table=_plain_strided_table,
    window_outputs=reference_maps.window_outputs,
    window_table=reference_maps.window_table,
    voxelize_hard=_plain_voxelize_hard,
    trilinear_table=_plain_trilinear_table,
    sparse_convolution=_plain_convolution,
    inverse_convolution=reference.inverse_convolution,
    fused_convolution=reference.sparse_convolution,
    fused_inverse_convolution=reference.inverse_convolution,
    devoxelize=reference.devoxelize,
    scatter_mean=_plain_scatter_mean,
)
