"""FlatFormer's parts at their published sizes: pillars, order, attention, dense layers, map."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.gpu_operations import Operation, Setting
from perception import ops


def operations(setting: Setting) -> Iterator[Operation]:
    """Yield the parts one by one."""
    yield from _attention(setting)
    yield from _convolution(setting)
    yield from _dense(setting)
    yield from _pillars(setting)


def _attention(setting: Setting) -> Iterator[Operation]:
    tokens = 300 if setting.fast else 16_000
    order = setting.device.array(np.random.default_rng(0).permutation(tokens).astype(np.int32))
    for size, heads, channels in ((144, 8, 16), (69, 8, 16), (69, 4, 32)):
        groups = ops.group_tokens([tokens], size, like=order)
        for dtype in (np.float32, np.float16):
            q, k, v = (setting.floats(tokens, heads * channels, dtype=dtype) for _ in range(3))
            moved = 4 * tokens * heads * channels * np.dtype(dtype).itemsize
            yield Operation(
                f"attention of {tokens} tokens, groups of {size}, {heads} x {channels}, {np.dtype(dtype).name}",
                lambda q=q, k=k, v=v, h=heads, g=groups: ops.group_attention(q, k, v, h, g, order),
                moved,
                4.0 * tokens * size * heads * channels,
            )


def _convolution(setting: Setting) -> Iterator[Operation]:
    tokens, channels, taps = 300 if setting.fast else 16_000, 64, 9
    order = setting.device.array(np.random.default_rng(0).permutation(tokens).astype(np.int32))
    kernel = setting.floats(taps, channels)
    for dtype in (np.float32, np.float16):
        gated = setting.floats(tokens, 2 * channels, dtype=dtype)
        yield Operation(
            f"gated convolution of {tokens} rows of {channels}, {taps} neighbours, {np.dtype(dtype).name}",
            lambda gated=gated: ops.sequence_convolution(gated, order, [tokens], kernel),
            3 * tokens * channels * np.dtype(dtype).itemsize,
            2.0 * tokens * taps * channels,
        )


def _dense(setting: Setting) -> Iterator[Operation]:
    rows = 100 if setting.fast else 16_000
    for dtype in (np.float32, np.float16):
        for inputs, outputs, activation in ((128, 256, "gelu"), (256, 128, "none")):
            x, weight = setting.floats(rows, inputs, dtype=dtype), setting.floats(outputs, inputs, dtype=dtype)
            norm = ops.LayerNorm(setting.floats(outputs), setting.floats(outputs)) if activation == "none" else None
            yield Operation(
                f"linear {inputs} to {outputs}, {'GELU' if norm is None else 'layer norm'}, {np.dtype(dtype).name}",
                lambda x=x, w=weight, a=activation, n=norm: ops.linear(x, w, None, a, norm=n),
                np.dtype(dtype).itemsize * rows * (inputs + outputs),
                2.0 * rows * inputs * outputs,
            )


def _pillars(setting: Setting) -> Iterator[Operation]:
    count, cells = (500, 40) if setting.fast else (120_000, 468)
    half_m = 0.16 * cells
    grid = ops.PillarGrid((-half_m, -half_m, -2.0), (0.32, 0.32, 6.0), cells, cells)
    host = np.random.default_rng(1).uniform(-1, 1, (count, 5)).astype(np.float32)
    points = setting.device.array(host * np.float32([half_m, half_m, 1.9, 1, 1]) * np.abs(host[:, 4:5]))
    found = ops.find_pillars(points, grid)
    pillars = sum(found.counts)
    features = ops.pillar_features(points, grid, found)
    walk = ops.WindowWalk(1, (cells, cells), (13, 13), "x", shifted=True)
    values = setting.floats(pillars, 128)
    yield Operation(f"pillars of {count} points", lambda: ops.find_pillars(points, grid), 28 * count + 20 * cells**2)
    yield Operation(
        f"features of {count} points", lambda: ops.pillar_features(points, grid, found), (20 + 4 + 44) * count
    )
    yield Operation(
        f"largest of {count} rows x 11", lambda: ops.segment_reduce(features, found.begins, "max"), 44 * count
    )
    yield Operation(f"window order of {pillars} pillars", lambda: ops.window_order(found.coords, walk), 16 * pillars)
    yield Operation(
        f"map of {pillars} pillars x 128",
        lambda: ops.pillars_to_map(values, found.coords, 1, (cells, cells)),
        512 * (pillars + cells**2),
    )
