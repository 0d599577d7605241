"""Bird's-eye-view pooling as differentiable PyTorch functions; tensors and plan lie on one device.

Sums and gradients are float32: under autocast, half-precision inputs are widened first.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from perception import ops
from perception.ops.bev_pool import BevPlan


def bev_pool(features: Tensor, plan: BevPlan) -> Tensor:
    """Add up the features [..., C] of each cell's points: [samples, nz * C, nx, ny] (see `ops.bev_pool`)."""
    result: Tensor = _BevPool.apply(features.float(), plan)
    return result


def lift_pool(depth: Tensor, context: Tensor, plan: BevPlan, channels_last: bool = False) -> Tensor:
    """Pool the product of depth and context: [samples, nz * C, nx, ny] (see `ops.lift_pool`)."""
    result: Tensor = _LiftPool.apply(depth.float(), context.float(), plan, channels_last)
    return result


class _BevPool(Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, plan: BevPlan) -> Tensor:
        ctx.plan, ctx.shape = plan, features.shape
        return torch.as_tensor(ops.bev_pool(features.contiguous(), plan))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        spread = ops.bev_pool_gradient(gradient.contiguous(), ctx.plan)
        return torch.as_tensor(spread).reshape(ctx.shape), None


class _LiftPool(Function):
    @staticmethod
    def forward(ctx: Any, depth: Tensor, context: Tensor, plan: BevPlan, channels_last: bool) -> Tensor:
        depth, context = depth.contiguous(), context.contiguous()
        ctx.plan, ctx.channels_last = plan, channels_last
        ctx.save_for_backward(depth, context)
        return torch.as_tensor(ops.lift_pool(depth, context, plan, channels_last=channels_last))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        depth, context = ctx.saved_tensors
        gradients = ops.lift_pool_gradient(
            depth, context, gradient.contiguous(), ctx.plan, channels_last=ctx.channels_last
        )
        to_depth, to_context = (torch.as_tensor(values) for values in gradients)
        return to_depth, to_context, None, None
