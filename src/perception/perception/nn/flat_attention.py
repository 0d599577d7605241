"""Flattened window attention (Liu et al., FlatFormer, CVPR 2023, section 3): groups of equal size along windows.

Names, layouts and arithmetic are those of the official release, so that its checkpoints load unchanged.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from perception import ops
from perception.nn.pillar_backends import PillarBackend

#: The walks of the layers of a block, one after the other: axis, shifted.
WALKS: tuple[tuple[Any, bool], ...] = (("x", False), ("x", True), ("y", False), ("y", True))
NORM_EPS = 1e-5


class TokenSequences:
    """The tokens of a frame in the order of each walk, and their groups; each found once, for all layers.

    Attributes:
        coords: int32 [N, 3], batch, y, x.
        counts: tokens of each batch element, one after the other in every walk.
        backend: what found them, and what layers compute with.
    """

    def __init__(
        self,
        coords: Any,
        counts: tuple[int, ...],
        size: tuple[int, int],
        window: int,
        group_size: int,
        backend: PillarBackend,
    ) -> None:
        """Start from the cells.

        Args:
            coords: int32 [N, 3], batch, y, x, sorted.
            counts: cells of each batch element.
            size: H, W of the map in cells.
            window: cells along the edge of a window.
            group_size: tokens of a group.
            backend: what to compute with.
        """
        self.coords = coords
        self.counts = counts
        self.backend = backend
        self._size = size
        self._window = window
        self._group_size = group_size
        self._orders: dict[int, Any] = {}

    def order(self, number: int) -> Any:
        """Row of each position of the walk `WALKS[number]`, int32 [N]."""
        if number not in self._orders:
            axis, shifted = WALKS[number]
            walk = ops.WindowWalk(len(self.counts), self._size, (self._window, self._window), axis, shifted)
            self._orders[number] = self.backend.window_order(self.coords, walk)
        return self._orders[number]

    @cached_property
    def groups(self) -> ops.TokenGroups:
        """The groups, which are those of every walk."""
        return self.backend.group_tokens(self.counts, self._group_size, self.coords)


class _Projections(nn.Module):
    """The weights of an attention, named and laid out as in torch.nn.MultiheadAttention.

    Args:
        channels: of queries, keys and values.
        width: of what is projected in the end.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * channels, channels))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * channels))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)


class GroupAttention(nn.Module):
    """Multi-head attention within groups; queries and keys know where their tokens are.

    Args:
        channels: of the tokens.
        heads: of the attention.
        width: of what the layer projects afterwards; the tokens' channels by default.
    """

    def __init__(self, channels: int, heads: int, width: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.attn = _Projections(channels, channels if width is None else width)

    def forward(self, x: Tensor, sequences: TokenSequences, walk: int, position: Tensor) -> Tensor:
        """Attend; the result is not yet projected: float [N, C] from [N, C]."""
        backend, channels = sequences.backend, x.shape[1]
        weight, bias = self.attn.in_proj_weight, self.attn.in_proj_bias
        placed = backend.add_position(x, sequences.coords, position)
        both = backend.linear(placed, weight[: 2 * channels], bias[: 2 * channels])
        value = backend.linear(x, weight[2 * channels :], bias[2 * channels :])
        q, k = both[:, :channels], both[:, channels:]
        return backend.group_attention(q, k, value, self.heads, sequences.groups, sequences.order(walk))


class LongShortAttention(GroupAttention):
    """Long-short range attention (Wu et al., Lite Transformer, ICLR 2020, section 3) on flattened windows.

    The first half of the channels attends within groups, with half of the heads. The second half passes a gated linear
    unit and a convolution of each channel along the walk. The layer's projection takes both halves side by side, where
    the paper has a projection for each: it costs the same passes over memory and lets the halves meet.

    Args:
        channels: of the tokens.
        heads: of the attention, were it for all channels.
        kernel_size: neighbours along the walk that the convolution reaches.
    """

    def __init__(self, channels: int, heads: int, kernel_size: int) -> None:
        half = channels // 2
        super().__init__(half, heads // 2, channels)
        self.gated = nn.Linear(half, 2 * half)
        self.kernel = nn.Parameter(torch.empty(kernel_size, half))
        nn.init.uniform_(self.kernel, -(kernel_size**-0.5), kernel_size**-0.5)

    def forward(self, x: Tensor, sequences: TokenSequences, walk: int, position: Tensor) -> Tensor:
        """Attend and convolve; the result is not yet projected: float [N, C] from [N, C]."""
        far, near = (half.contiguous() for half in x.chunk(2, 1))
        attended = super().forward(far, sequences, walk, position)
        gated = sequences.backend.linear(near, self.gated.weight, self.gated.bias)
        order = sequences.order(walk)
        local = sequences.backend.sequence_convolution(gated, order, sequences.counts, self.kernel)
        return torch.cat([attended, local], 1)


class FlatFormerLayer(nn.Module):
    """Attention and a feed-forward network, each added to its input and normalised afterwards.

    Args:
        channels: of the tokens.
        heads: of the attention.
        hidden: channels between the two layers of the feed-forward network.
        kernel_size: of the convolution of a long-short range attention; None for group attention alone.
    """

    def __init__(self, channels: int, heads: int, hidden: int, kernel_size: int | None = None) -> None:
        super().__init__()
        if kernel_size is None:
            self.attn = GroupAttention(channels, heads)
        else:
            self.attn = LongShortAttention(channels, heads, kernel_size)
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)
        self.norm1 = nn.LayerNorm(channels, NORM_EPS)
        self.norm2 = nn.LayerNorm(channels, NORM_EPS)

    def forward(self, x: Tensor, sequences: TokenSequences, walk: int, position: Tensor) -> Tensor:
        """Compute float [N, C] from [N, C] along one of the `WALKS`."""
        linear, out = sequences.backend.linear, self.attn.attn.out_proj
        attended = self.attn(x, sequences, walk, position)
        x = linear(attended, out.weight, out.bias, residual=x, norm=_parameters(self.norm1))
        hidden = linear(x, self.fc1.weight, self.fc1.bias, "gelu")
        return linear(hidden, self.fc2.weight, self.fc2.bias, residual=x, norm=_parameters(self.norm2))


class FlatFormerBlock(nn.Module):
    """A layer for each walk; see `FlatFormerLayer` for the arguments."""

    def __init__(self, channels: int, heads: int, hidden: int, kernel_size: int | None = None) -> None:
        super().__init__()
        self.block = nn.ModuleList(FlatFormerLayer(channels, heads, hidden, kernel_size) for _ in WALKS)

    def forward(self, x: Tensor, sequences: TokenSequences, position: Tensor) -> Tensor:
        """Apply the layers."""
        for walk, layer in enumerate(self.block):
            x = layer(x, sequences, walk, position)
        return x


def _parameters(norm: nn.LayerNorm) -> ops.LayerNorm:
    return ops.LayerNorm(norm.weight, norm.bias, norm.eps)
