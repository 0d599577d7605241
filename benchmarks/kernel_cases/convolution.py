"""Submanifold convolutions of size 3 with ready maps, on the levels of a U-Net where their widths occur."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from benchmarks import spconv_peer
from benchmarks.kernel_cases import Case, Context
from benchmarks.spconv_peer import SpconvPeer
from perception import ops

VOXEL_SIZE_M = 0.05
LAYERS = [(0, 32), (0, 64), (0, 96), (1, 96), (2, 128), (3, 128), (3, 256), (4, 256)]  # halvings, channels
FAST_LAYERS = [(0, 32), (1, 64)]
#: Least share of the speed that the machine allows, by channels.
LEAST_SHARE = {32: 0.5, 64: 0.7, 96: 0.7, 128: 0.85, 256: 0.85}
LEAST_OVER_SPCONV, LEAST_OVER_PYTORCH = 2.0, 1.3


def gather_multiply(features: Tensor, table: np.ndarray, weight: Tensor) -> Callable[[], Tensor]:
    """Convolve in plain PyTorch with ready maps: gather, multiply, add."""
    outputs = [np.flatnonzero(column >= 0) for column in table.T]
    pairs = [(torch.from_numpy(rows), torch.from_numpy(table[rows, k]).long()) for k, rows in enumerate(outputs)]

    def convolve() -> Tensor:
        result = torch.zeros(len(table), weight.shape[2])
        for k, (rows, inputs) in enumerate(pairs):
            result.index_add_(0, rows, features[inputs] @ weight[k])
        return result

    return convolve


def layer_cases(context: Context, coords: np.ndarray, channels: int, spconv: SpconvPeer | None) -> Iterator[Case]:
    """One layer beside its limit, spconv and PyTorch; and what else there is to know about it."""
    table = ops.submanifold_table(coords, threads=context.threads)
    generator = np.random.default_rng(channels)
    features = generator.standard_normal((len(table), channels), np.float32)
    weight = generator.standard_normal((27, channels, channels), np.float32)
    output = ops.sparse_convolution(features, table, weight, threads=context.threads)
    flops = 2.0 * np.count_nonzero(table >= 0) * channels**2
    moved_bytes = features.nbytes + output.nbytes + table.nbytes + weight.nbytes
    name = f"convolution of {len(table)} voxels, {channels} channels"
    note = f"{1e-9 * flops:.1f} GFLOP"

    def ours() -> object:
        return ops.sparse_convolution(features, table, weight, threads=context.threads)

    def required(ratio: float) -> float | None:
        return None if context.fast else ratio

    limit_ms = context.limit_ms(flops, moved_bytes)
    yield Case(name, ours, "limit", required=required(LEAST_SHARE.get(channels, 0.5)), peer_ms=limit_ms, note=note)
    if spconv is not None:
        peer, result = spconv.prepare("layer", coords, features, weight)
        np.testing.assert_allclose(output, result, rtol=0, atol=1e-4 * np.abs(output).max())
        yield Case(name, ours, spconv_peer.NAME, peer, required(LEAST_OVER_SPCONV))
    plain = gather_multiply(torch.from_numpy(features), table, torch.from_numpy(weight))
    np.testing.assert_allclose(output, plain().numpy(), rtol=0, atol=1e-4 * np.abs(output).max())
    yield Case(name, ours, "PyTorch gather + mm + index_add", plain, required(LEAST_OVER_PYTORCH))
    half_features, half_weight = features.astype(np.float16), weight.astype(np.float16)
    yield Case(
        f"{name}, float16",
        lambda: ops.sparse_convolution(half_features, table, half_weight, threads=context.threads),
        "limit (float32)",
        peer_ms=limit_ms,
    )
    yield Case(
        f"{name}, weight gradient",
        lambda: ops.weight_gradient(features, output, table, threads=context.threads),
        "limit",
        peer_ms=limit_ms,
    )


def cases(context: Context) -> list[Case]:
    """All layers, beginning with the finest level."""
    levels = [ops.voxelize(context.points, 0.4 if context.fast else VOXEL_SIZE_M, threads=context.threads).coords]
    for _ in range(4):
        levels.append(ops.downsample(levels[-1], threads=context.threads).coords)
    spconv = SpconvPeer.start()
    layers = FAST_LAYERS if context.fast else LAYERS
    return [case for level, channels in layers for case in layer_cases(context, levels[level], channels, spconv)]
