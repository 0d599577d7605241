"""What group attention and dense layers mean, in plain PyTorch: slow, short, and the judge of the native kernels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def group_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    heads: int,
    flat2win: Tensor,
    win2flat: Tensor,
    group_size: int,
    order: Tensor,
    scale: float | None = None,
) -> Tensor:
    """Attend within groups of tokens [N, heads * D]; see `perception.ops.group_attention`."""
    tokens, width = q.shape
    rows = order.long()[flat2win.long()]
    q, k, v = (x[rows].reshape(-1, group_size, heads, width // heads).transpose(1, 2) for x in (q, k, v))
    scores = (q @ k.transpose(2, 3)) * ((width // heads) ** -0.5 if scale is None else scale)
    slots = (scores.softmax(-1) @ v).transpose(1, 2).reshape(-1, width)
    output = torch.zeros(tokens, width, dtype=q.dtype)
    output[order.long()] = slots[win2flat.long()]
    return output


def linear(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: str = "none",
    residual: Tensor | None = None,
    residual_rows: Tensor | None = None,
    norm: tuple[Tensor, Tensor, float] | None = None,
) -> Tensor:
    """Compute norm(activation(features @ weight^T + bias + residual)); see `perception.ops.linear`."""
    result = functional.linear(features, weight, bias)
    if residual is not None:
        rows = torch.arange(len(features)) if residual_rows is None else residual_rows.long()
        # Row -1 is the zero row that is appended.
        result = result + torch.cat([residual, residual.new_zeros(1, residual.shape[1])])[rows]
    result = {"none": lambda x: x, "relu": functional.relu, "gelu": functional.gelu}[activation](result)
    return result if norm is None else layer_norm(result, norm)


def layer_norm(features: Tensor, norm: tuple[Tensor, Tensor, float], residual: Tensor | None = None) -> Tensor:
    """Normalise features + residual over the channels of each row."""
    scale, shift, epsilon = norm
    total = features if residual is None else features + residual
    return functional.layer_norm(total, total.shape[1:], scale, shift, epsilon)
