"""The native kernels as differentiable PyTorch functions on CPU and CUDA tensors, for training and inference.

Tables, parents, offsets and indices may be NumPy arrays or torch tensors; they come from `perception.ops`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from perception import ops


def sparse_convolution(
    features: Tensor, table: Any, weight: Tensor, bias: Tensor | None = None, *, submanifold: bool = False
) -> Tensor:
    """Sum features[table[o, k]] @ weight[k] over k, plus bias: [N_out, C_out] (see `ops.sparse_convolution`).

    Features may be float32 or float16; the weight follows them, as in mixed-precision training. `submanifold` says that
    the table is one of `ops.submanifold_table`, which spares the backward pass the work of turning it around.
    """
    result: Tensor = _SparseConvolution.apply(features, table, weight.to(features.dtype), bias, submanifold)
    return result


def inverse_convolution(
    features: Tensor, parent: Any, offset: Any, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Go back to the fine level: features[parent[i]] @ weight[offset[i]], [N, C_out], plus bias."""
    result: Tensor = _InverseConvolution.apply(features, parent, offset, weight.to(features.dtype), bias)
    return result


def devoxelize(features: Tensor, indices: Any, weights: Any) -> Tensor:
    """Interpolate voxel features [N, C] at points: [P, C]; differentiable in the features only."""
    result: Tensor = _Devoxelize.apply(features, indices, weights)
    return result


def scatter_mean(features: Tensor, index: Any, voxel_count: int) -> Tensor:
    """Average the features [P, C] of the points of each voxel: [voxel_count, C]; index -1 leaves a point out."""
    result: Tensor = _ScatterMean.apply(features, index, voxel_count)
    return result


class _SparseConvolution(Function):
    @staticmethod
    def forward(
        ctx: Any, features: Tensor, table: Any, weight: Tensor, bias: Tensor | None, submanifold: bool
    ) -> Tensor:
        features, weight = features.contiguous(), weight.contiguous()
        ctx.table, ctx.bias_at, ctx.submanifold = table, 3 if bias is not None else None, submanifold
        ctx.save_for_backward(features, weight)
        return torch.as_tensor(ops.sparse_convolution(features, table, weight, bias))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        features, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        to_features = to_weight = None
        if ctx.needs_input_grad[0]:
            if ctx.submanifold:  # if j is the neighbour k of i, then i is the opposite neighbour of j
                back, weight = ctx.table, weight.flip(0)
            else:
                back = ops.transpose_table(ctx.table, len(features))
            to_features = torch.as_tensor(ops.sparse_convolution(gradient, back, weight, transpose_weight=True))
        if ctx.needs_input_grad[2]:
            to_weight = torch.as_tensor(ops.weight_gradient(features, gradient, ctx.table))
        return to_features, None, to_weight, _bias_gradient(ctx, gradient), None


class _InverseConvolution(Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, parent: Any, offset: Any, weight: Tensor, bias: Tensor | None) -> Tensor:
        features, weight = features.contiguous(), weight.contiguous()
        ctx.parent, ctx.offset, ctx.bias_at = parent, offset, 4 if bias is not None else None
        ctx.save_for_backward(features, weight)
        return torch.as_tensor(ops.inverse_convolution(features, parent, offset, weight, bias))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        features, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        children = ops.strided_table(ctx.parent, ctx.offset, len(features))
        to_features = to_weight = None
        if ctx.needs_input_grad[0]:
            to_features = torch.as_tensor(ops.sparse_convolution(gradient, children, weight, transpose_weight=True))
        if ctx.needs_input_grad[3]:
            # The same pairs seen from the coarse side; a pair's product is then the other way round.
            swapped = torch.as_tensor(ops.weight_gradient(gradient, features, children))
            to_weight = swapped.transpose(1, 2)
        return to_features, None, None, to_weight, _bias_gradient(ctx, gradient)


class _Devoxelize(Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, indices: Any, weights: Any) -> Tensor:
        ctx.indices, ctx.weights, ctx.voxel_count = indices, weights, len(features)
        return torch.as_tensor(ops.devoxelize(features.contiguous(), indices, weights))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        spread = ops.devoxelize_gradient(gradient.float().contiguous(), ctx.indices, ctx.weights, ctx.voxel_count)
        return torch.as_tensor(spread), None, None


class _ScatterMean(Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, index: Any, voxel_count: int) -> Tensor:
        means, counts = ops.scatter_mean(features.contiguous(), index, voxel_count)
        ctx.index, ctx.counts = index, counts
        return torch.as_tensor(means)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        spread = ops.scatter_mean_gradient(gradient.float().contiguous(), ctx.index, ctx.counts)
        return torch.as_tensor(spread), None, None


def _bias_gradient(ctx: Any, gradient: Tensor) -> Tensor | None:
    wanted = ctx.bias_at is not None and ctx.needs_input_grad[ctx.bias_at]
    return gradient.sum(0, dtype=torch.float32) if wanted else None
