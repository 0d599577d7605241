"""Kernel maps of windows and per axis."""

import numpy as np

from perception import ops


def draw_axes(draw, low, high):
    """One number, or three; now and then one that is not allowed."""
    most = high + 1 if draw.hostile else high
    return draw.integer(low, most) if draw.choice(True, False) else tuple(draw.integer(low, most) for _ in range(3))


def fuzz_window_outputs(draw):
    coords = draw.coords(draw.rows(), distinct=draw.choice(True, False))
    shape = draw_axes(draw, 1, 40) if draw.choice(True, False) else None
    capacity = draw.integer(0, 200) if draw.choice(True, False) else None
    window = (draw_axes(draw, 1, 7), draw_axes(draw, 1, draw.choice(3, 64)), draw_axes(draw, 0, draw.choice(3, 64)))
    ops.window_outputs(coords, *window, shape=shape, capacity=capacity)


def fuzz_window_table(draw):
    coords, outputs = draw.coords(draw.rows()), draw.coords(draw.rows(), distinct=False)
    window = (draw_axes(draw, 1, 7), draw_axes(draw, 1, draw.choice(3, 64)), draw_axes(draw, 0, draw.choice(3, 64)))
    ops.window_table(coords, outputs, *window)


def fuzz_submanifold_table_per_axis(draw):
    ops.submanifold_table(draw.coords(draw.rows()), tuple(draw.choice(1, 3, 5, 7) for _ in range(3)))


def fuzz_downsample_per_axis(draw):
    stride = draw_axes(draw, 1, draw.choice(3, 6))
    coords = draw.coords(draw.rows(), distinct=False)
    level = ops.downsample(coords, stride)
    ops.strided_table(level.parent, level.offset, len(level.coords), stride)


def fuzz_strided_table_per_axis(draw):
    rows, coarse, stride = draw.rows(), draw.rows(), tuple(draw.integer(1, 4) for _ in range(3))
    parent = draw.integers(rows, -1, coarse - 1)
    ops.strided_table(parent, draw.integers(rows, 0, 255, np.uint8), coarse, stride)


def fuzz_voxel_counts(draw):
    voxels = draw.rows()
    ops.voxel_counts(draw.integers(draw.rows(), -1, voxels - 1), voxels)
