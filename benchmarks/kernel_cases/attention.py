"""FlatFormer's parts at their published sizes: attention in groups of 69 and 144 tokens, dense layers, order, map."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.kernel_cases import Case, Context
from perception import ops

#: Tokens of a group, heads, channels of a head, least ratio: FlatFormer's class default and published configuration,
#: and wider heads.
ATTENTION = ((69, 8, 16, 2.0), (144, 8, 16, 2.0), (69, 4, 32, 2.0), (144, 4, 32, 2.0))
TOKENS, FEWER_TOKENS = 16_000, 2_000
SIZE, WINDOW = (468, 468), (13, 13)
WALK = ops.WindowWalk(1, SIZE, WINDOW, "x", shifted=True)
GRID = ops.PillarGrid((-74.88, -74.88, -2.0), (0.32, 0.32, 6.0), *SIZE)


def draw(*shape: int) -> np.ndarray:
    """Draw float32 normal numbers."""
    return np.random.default_rng([0, *shape]).standard_normal(shape, dtype=np.float32)


def attention_case(context: Context, size: int, heads: int, channels: int, required: float | None) -> Case:
    """Attend within full groups; the peer finds its tokens gathered already and sorted by head, which is not timed."""
    groups = (FEWER_TOKENS if context.fast else TOKENS) // size
    q, k, v = (draw(groups * size, heads * channels) + np.float32(0.1 * seed) for seed in range(3))
    cut = [torch.from_numpy(x).view(groups, size, heads, channels).transpose(1, 2).contiguous() for x in (q, k, v)]

    def peer() -> Tensor:
        with torch.inference_mode():
            return functional.scaled_dot_product_attention(*cut)

    def ours() -> object:
        return ops.group_attention(q, k, v, heads, size, threads=context.threads)

    name = f"attention in {groups} groups of {size}, {heads} x {channels}"
    return Case(name, ours, "torch scaled_dot_product_attention", peer, required)


def layer_attention_cases(context: Context, coords: np.ndarray, size: int, heads: int, channels: int) -> list[Case]:
    """Attend between the pillars of the scan along a walk through windows, as a layer does.

    Rows are read and written where they lie, by the kernel and by the peer; the last group repeats tokens. The limit
    counts the two products only, not the exponentials.
    """
    tokens = len(coords)
    q, k, v = (draw(tokens, heads * channels) + np.float32(0.1 * seed) for seed in range(3))
    order = ops.window_order(coords, WALK, context.threads)
    groups = ops.group_tokens([tokens], size, like=q)
    tensors = [torch.from_numpy(x) for x in (q, k, v)]
    sequence, slots = torch.from_numpy(order).long(), torch.from_numpy(groups.win2flat).long()
    rows = sequence[torch.from_numpy(groups.flat2win).long()]

    def peer() -> Tensor:
        with torch.inference_mode():
            cut = (x[rows].view(-1, size, heads, channels).transpose(1, 2) for x in tensors)
            result = functional.scaled_dot_product_attention(*cut).transpose(1, 2).reshape(-1, heads * channels)
            return torch.empty_like(tensors[0]).index_copy_(0, sequence, result[slots])

    def ours() -> object:
        return ops.group_attention(q, k, v, heads, groups, order, threads=context.threads)

    np.testing.assert_allclose(ours(), peer().numpy(), rtol=0, atol=1e-5)
    name = f"attention of {tokens} pillars along a walk, groups of {size}, {heads} x {channels}"
    limit_ms = context.limit_ms(4.0 * len(groups.flat2win) * size * heads * channels, 4.0 * q.nbytes)
    return [
        Case(name, ours, "torch gather + attention + scatter", peer, 2.0),
        Case(name, ours, "limit", peer_ms=limit_ms),
    ]


def linear_case(context: Context, inputs: int, outputs: int, activation: ops.feed_forward.Activation) -> Case:
    """Run one half of a feed-forward, the second with what follows it in the layer."""
    rows = FEWER_TOKENS if context.fast else TOKENS
    x, weight, bias = draw(rows, inputs), draw(outputs, inputs) / np.float32(inputs**0.5), draw(outputs)
    last = activation == "none"
    residual, ones, zeros = draw(rows, outputs), np.ones(outputs, np.float32), np.zeros(outputs, np.float32)
    following = {"residual": residual, "norm": ops.LayerNorm(ones, zeros)} if last else {}
    tensors = [torch.from_numpy(value) for value in (x, weight, bias, residual, ones, zeros)]

    def peer() -> Tensor:
        with torch.inference_mode():
            result = functional.linear(*tensors[:3])
            if not last:
                return functional.gelu(result)
            return functional.layer_norm(tensors[3] + result, (outputs,), *tensors[4:])

    def ours() -> object:
        return ops.linear(x, weight, bias, activation, threads=context.threads, **following)

    what = "residual, layer norm" if last else "GELU"
    return Case(f"linear {inputs} to {outputs}, {what}, {rows} rows", ours, "torch", peer)


def flatformer_key(coords: Tensor, shifted: bool) -> Tensor:
    """Number cells along x as the official code does."""
    batch, y, x = coords.long().unbind(1)
    width, shift = WINDOW[0], WINDOW[0] // 2 if shifted else 0
    wx, wy, cx, cy = (x + shift) // width, (y + shift) // width, (x + shift) % width, (y + shift) % width
    row = 2 * (-(-SIZE[0] // width) + 1)
    sign = 1 - 2 * (wy % 2)
    inside = 2 * width * cx + (1 - 2 * (cx % 2)) * cy
    return (row * wy + sign * wx) * 4 * width * width + sign * inside + batch * SIZE[0] * SIZE[1] * 10


def window_case(context: Context, coords: np.ndarray) -> Case:
    """Sort the occupied cells of a scan along shifted windows."""
    there = torch.from_numpy(coords)
    name = f"window order of {len(coords)} pillars"
    peer: Callable[[], Tensor] = lambda: torch.argsort(flatformer_key(there, True))  # noqa: E731
    return Case(name, lambda: ops.window_order(coords, WALK, context.threads), "torch keys + argsort", peer)


def pillar_cases(context: Context, found: ops.Pillars) -> list[Case]:
    """Find the pillars of the scan, order them, and lay them out as a map."""
    points = torch.from_numpy(context.points)
    minimum, size = torch.tensor(GRID.minimum_m), torch.tensor(GRID.size_m)

    def peer() -> tuple[Tensor, ...]:
        cells = torch.floor((points[:, :3] - minimum) / size).long()
        kept = ((cells >= 0) & (cells < torch.tensor([*SIZE, 1]))).all(1)
        return torch.unique(cells[kept, 1] * SIZE[1] + cells[kept, 0], return_inverse=True)

    features = draw(len(found.coords), 128)
    y, x = torch.from_numpy(found.coords[:, 1]).long(), torch.from_numpy(found.coords[:, 2]).long()

    def peer_map() -> Tensor:
        output = torch.zeros(128, SIZE[0] * SIZE[1])
        output[:, y * SIZE[1] + x] = torch.from_numpy(features).t()
        return output

    def ours_map() -> object:
        return ops.pillars_to_map(features, found.coords, 1, SIZE, threads=context.threads)

    name = f"pillars of {len(points)} points"
    return [
        Case(name, lambda: ops.find_pillars(context.points, GRID, threads=context.threads), "torch unique", peer),
        window_case(context, found.coords),
        Case(f"map of {len(found.coords)} pillars, 128 channels", ours_map, "torch index_put", peer_map),
    ]


def cases(context: Context) -> list[Case]:
    """Set FlatFormer's parts beside plain PyTorch."""
    found = ops.find_pillars(context.points, GRID, threads=context.threads)
    attention = [attention_case(context, *shape) for shape in ATTENTION]
    for shape in ATTENTION[:2]:
        attention += layer_attention_cases(context, found.coords, *shape[:3])
    dense = [linear_case(context, 128, 256, "gelu"), linear_case(context, 256, 128, "none")]
    return [*attention, *dense, *pillar_cases(context, found)]
