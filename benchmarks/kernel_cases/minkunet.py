"""A whole MinkUNet of width 1.0 on one scan, maps included, batch norms folded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import spconv_peer
from benchmarks.kernel_cases import Case, Context
from benchmarks.spconv_peer import SpconvPeer
from benchmarks.spconv_peer.minkunet_plan import ASCENTS, STAGES, STEM, Layer, layer_shapes, random_layers
from perception import ops

VOXEL_SIZE_M = 0.05
LEAST_SHARE, LEAST_OVER_SPCONV = 0.75, 2.0

Float32Array = NDArray[np.float32]
Int32Array = NDArray[np.int32]


class Level(NamedTuple):
    """What the layers of one level ask for; nothing is below the coarsest."""

    table: Int32Array
    below: ops.Downsampling | None = None
    children: Int32Array | None = None


def build_levels(coords: Int32Array, threads: int) -> list[Level]:
    """Build the maps of all five levels."""
    levels = []
    for _ in STAGES:
        below = ops.downsample(coords, threads=threads)
        children = ops.strided_table(below.parent, below.offset, len(below.coords), threads=threads)
        levels.append(Level(ops.submanifold_table(coords, threads=threads), below, children))
        coords = below.coords
    return [*levels, Level(ops.submanifold_table(coords, threads=threads))]


class MinkUNet:
    """The network on the native operations; the classifier after it is left out on both sides."""

    def __init__(self, layers: list[Layer], threads: int) -> None:
        self._layers = layers
        self._threads = threads
        self._rest: Iterator[Layer] = iter(())

    def forward(self, coords: Int32Array, features: Float32Array) -> Float32Array:
        """Build the maps and run all layers: features of every voxel, [N, 96]."""
        self._rest = iter(self._layers)
        levels = build_levels(coords, self._threads)
        x = features
        for _ in STEM:
            x = self._convolve(x, levels[0].table)
        skips = []
        for (_, width), finer, coarser in zip(STAGES, levels, levels[1:], strict=False):
            skips.append(x)
            x = self._residual_blocks(self._convolve(x, finer.children), coarser.table, width)
        for (_, _, width), finer in zip(ASCENTS, reversed(levels[:-1]), strict=True):
            x = np.concatenate([self._ascend(x, finer), skips.pop()], axis=1)
            x = self._residual_blocks(x, finer.table, width)
        return x

    def _convolve(
        self, x: Float32Array, table: Int32Array, residual: Float32Array | None = None, relu: bool = True
    ) -> Float32Array:
        weight, bias = next(self._rest)
        return ops.sparse_convolution(x, table, weight, bias, residual, relu, threads=self._threads)

    def _ascend(self, x: Float32Array, finer: Level) -> Float32Array:
        weight, bias = next(self._rest)
        parents = finer.below.parent, finer.below.offset
        return ops.inverse_convolution(x, *parents, weight, bias, relu=True, threads=self._threads)

    def _residual_blocks(self, x: Float32Array, table: Int32Array, width: int) -> Float32Array:
        shortcut = x
        if x.shape[1] != width:
            own_rows = np.arange(len(table), dtype=np.int32)[:, None]
            shortcut = self._convolve(x, own_rows, relu=False)
        x = self._convolve(self._convolve(x, table), table, shortcut)
        return self._convolve(self._convolve(x, table), table, x)


def limit_ms(context: Context, levels: list[Level]) -> float:
    """Sum the limits of all layers; maps and concatenations are not in it."""
    pairs = [int(np.count_nonzero(level.table >= 0)) for level in levels]
    total = 0.0
    for shape in layer_shapes():
        fine = len(levels[shape.level].table)
        inputs, outputs, count, table_bytes = fine, fine, fine, 4 * fine
        if shape.volume == 27:
            count, table_bytes = pairs[shape.level], 4 * 27 * fine
        elif shape.volume == 8:
            coarse = len(levels[shape.level + 1].table)
            inputs, outputs = (coarse, fine) if shape.up else (fine, coarse)
            table_bytes = 5 * fine if shape.up else 4 * 8 * coarse
        floats = inputs * shape.inputs + outputs * shape.outputs + shape.volume * shape.inputs * shape.outputs
        total += context.limit_ms(2.0 * count * shape.inputs * shape.outputs, 4 * floats + table_bytes)
    return total


def cases(context: Context) -> list[Case]:
    """The network beside its limit and spconv."""
    voxels = ops.voxelize(context.points, 0.4 if context.fast else VOXEL_SIZE_M, threads=context.threads)
    features = np.ascontiguousarray(context.points[voxels.first])
    layers = random_layers()
    network = MinkUNet(layers, context.threads)
    output = network.forward(voxels.coords, features)
    levels = build_levels(voxels.coords, context.threads)
    name = f"MinkUNet of {len(features)} voxels, maps included"

    def ours() -> object:
        return network.forward(voxels.coords, features)

    def required(ratio: float) -> float | None:
        return None if context.fast else ratio

    limit = limit_ms(context, levels)
    rows = [Case(name, ours, "sum of the layers' limits", required=required(LEAST_SHARE), peer_ms=limit)]
    spconv = SpconvPeer.start()
    if spconv is not None:
        peer, result = spconv.prepare("minkunet", voxels.coords, features, layers)
        np.testing.assert_allclose(output, result, rtol=0, atol=1e-4 * np.abs(output).max())
        rows.append(Case(name, ours, spconv_peer.NAME, peer, required(LEAST_OVER_SPCONV)))
    return rows
