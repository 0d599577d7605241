"""What the layers of pillar networks compute with: the native kernels, or plain PyTorch that can be differentiated.

As with `perception.nn.backends`, a frame carries its backend, and nothing is global.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from perception import ops
from perception.ops import reference_attention, reference_pillars


@dataclass(frozen=True)
class PillarBackend:
    """The operations of pillar networks; the functions of that name in `perception.ops` say what each one means.

    Attributes:
        find_pillars: points, grid, batch, batches -> Pillars.
        pillar_features: points, grid, pillars -> [K, C + 6].
        segment_max: features [K, C], pillars -> [P, C].
        linear: features, weight, bias, activation, residual=, residual_rows=, norm= -> [N, C_out].
        window_order: coords, walk -> [N].
        group_tokens: counts, group size, an array in the right place -> TokenGroups.
        add_position: features, coords, table -> [N, C].
        group_attention: q, k, v, heads, groups, order -> [N, C].
        sequence_convolution: gated [N, 2 C], order, counts, kernel [K, C] -> [N, C].
        pillars_to_map: features, coords, batches, (H, W) -> [B, C, H, W].
    """

    find_pillars: Callable[..., ops.Pillars]
    pillar_features: Callable[..., Tensor]
    segment_max: Callable[[Tensor, ops.Pillars], Tensor]
    linear: Callable[..., Tensor]
    window_order: Callable[[Any, ops.WindowWalk], Any]
    group_tokens: Callable[[Sequence[int], int, Any], ops.TokenGroups]
    add_position: Callable[[Tensor, Any, Tensor], Tensor]
    group_attention: Callable[..., Tensor]
    sequence_convolution: Callable[[Tensor, Any, Sequence[int], Tensor], Tensor]
    pillars_to_map: Callable[[Tensor, Any, int, tuple[int, int]], Tensor]


def _as_tensor(operation: Callable[..., Any]) -> Callable[..., Tensor]:
    def call(*arguments: Any, **options: Any) -> Tensor:
        return torch.as_tensor(operation(*arguments, **options))

    return call


def _native_segment_max(features: Tensor, pillars: ops.Pillars) -> Tensor:
    return torch.as_tensor(ops.segment_reduce(features, pillars.begins, "max"))


def _plain_segment_max(features: Tensor, pillars: ops.Pillars) -> Tensor:
    index = torch.as_tensor(pillars.pillar).long()[:, None].expand_as(features)
    result = features.new_zeros(len(pillars.coords), features.shape[1])
    return result.scatter_reduce(0, index, features, "amax", include_self=False)


def _plain_pillars(points: Tensor, grid: ops.PillarGrid, batch: Tensor, batches: int) -> ops.Pillars:
    return ops.Pillars(*reference_pillars.find_pillars(points, grid, batch, batches))


def _plain_linear(*arguments: Any, **options: Any) -> Tensor:
    if "residual_rows" in options:
        options["residual_rows"] = torch.as_tensor(options["residual_rows"])
    return reference_attention.linear(*arguments, **options)


def _plain_group_tokens(counts: Sequence[int], group_size: int, _: Any) -> ops.TokenGroups:
    return ops.TokenGroups(*reference_pillars.group_tokens(counts, group_size), group_size)


def _plain_add_position(features: Tensor, coords: Any, table: Tensor) -> Tensor:
    return reference_pillars.add_position(features, torch.as_tensor(coords), table)


def _plain_group_attention(q: Tensor, k: Tensor, v: Tensor, heads: int, groups: ops.TokenGroups, order: Any) -> Tensor:
    flat2win, win2flat, order = (torch.as_tensor(index) for index in (*groups[:2], order))
    return reference_attention.group_attention(q, k, v, heads, flat2win, win2flat, groups.size, order)


def _fast_group_attention(q: Tensor, k: Tensor, v: Tensor, heads: int, groups: ops.TokenGroups, order: Any) -> Tensor:
    """The same by PyTorch's fused attention, for training."""
    tokens, width = q.shape
    flat2win, win2flat, order = (torch.as_tensor(index).long() for index in (*groups[:2], order))
    rows = order[flat2win]
    q, k, v = (x[rows].reshape(-1, groups.size, heads, width // heads).transpose(1, 2) for x in (q, k, v))
    slots = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(-1, width)
    return torch.zeros_like(slots[:tokens]).index_copy(0, order, slots[win2flat])


def _plain_sequence_convolution(gated: Tensor, order: Any, counts: Sequence[int], kernel: Tensor) -> Tensor:
    return reference_pillars.sequence_convolution(gated, torch.as_tensor(order), counts, kernel)


def _plain_map(features: Tensor, coords: Any, batches: int, size: tuple[int, int]) -> Tensor:
    batch, y, x = torch.as_tensor(coords).long().unbind(1)
    cells = features.new_zeros(batches, *size, features.shape[1]).index_put((batch, y, x), features)
    return cells.permute(0, 3, 1, 2)


#: The kernels: on the CPU, or on the GPU that holds the points. For inference.
NATIVE = PillarBackend(
    find_pillars=ops.find_pillars,
    pillar_features=_as_tensor(ops.pillar_features),
    segment_max=_native_segment_max,
    linear=_as_tensor(ops.linear),
    window_order=ops.window_order,
    group_tokens=ops.group_tokens,
    add_position=_as_tensor(ops.add_position),
    group_attention=_as_tensor(ops.group_attention),
    sequence_convolution=_as_tensor(ops.sequence_convolution),
    pillars_to_map=_as_tensor(ops.pillars_to_map),
)

#: Plain PyTorch on the CPU, slow, in any floating-point type.
REFERENCE = PillarBackend(
    find_pillars=_plain_pillars,
    pillar_features=reference_pillars.pillar_features,
    segment_max=_plain_segment_max,
    linear=_plain_linear,
    window_order=reference_pillars.window_order,
    group_tokens=_plain_group_tokens,
    add_position=_plain_add_position,
    group_attention=_plain_group_attention,
    sequence_convolution=_plain_sequence_convolution,
    pillars_to_map=_plain_map,
)

#: For training: where things are is found by the kernels, features are computed by PyTorch, which differentiates them.
DIFFERENTIABLE = replace(
    REFERENCE,
    find_pillars=NATIVE.find_pillars,
    pillar_features=NATIVE.pillar_features,
    window_order=NATIVE.window_order,
    group_tokens=NATIVE.group_tokens,
    group_attention=_fast_group_attention,
)
