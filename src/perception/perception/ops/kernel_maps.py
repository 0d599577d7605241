"""Tables that say which input row each weight of each output row multiplies: int32 [N_out, K], -1 for none.

Sizes, strides and paddings are one number, or x, y, z. Weights are numbered with x fastest, as torchsparse does for odd
sizes, `kx + size_x * (ky + size_y * kz)`; only `strided_table` has z fastest, as torchsparse does for size 2. Weights
of spconv and BEVFusion, [kx, ky, kz, in, out], are brought into this order by `x_fastest_weights`.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.ops import binding
from perception.ops.arrays import as_array, empty
from perception.ops.coordinates import CoordinateHash, Int32Array, PerAxis, per_axis

_MOST_WEIGHTS = 7**3

binding.declare(
    pk_submanifold_table="plpp",
    pk_window_outputs="plppplp",
    pk_window_table="plplpp",
    pk_strided_table="ppllip",
    pk_transpose_table="plilp",
)


def submanifold_table(coords: Any, kernel_size: PerAxis = 3, threads: int | None = None) -> Int32Array:
    """Find the neighbours of every voxel in a box of odd sizes: int32 [N, K], x fastest.

    Args:
        coords: int32 [N, 4], batch, x, y, z, each voxel once; or a `CoordinateHash` of it.
        kernel_size: 1, 3, 5 or 7 on each axis.
        threads: CPU threads, all by default.

    Raises:
        ValueError: another size, or (on the CPU) a voxel out of range or one that occurs twice.
    """
    coords = coords.coords if isinstance(coords, CoordinateHash) else coords
    coords = as_array(coords, np.int32, (None, 4), "coords")
    size = per_axis(kernel_size, "kernel_size")
    table = empty(coords, (len(coords), _volume(size)), np.int32)
    binding.call("pk_submanifold_table", coords, len(coords), size, table, threads=threads)
    return table


def window_outputs(
    coords: Any,
    kernel_size: PerAxis,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    *,
    shape: PerAxis | None = None,
    capacity: int | None = None,
    threads: int | None = None,
) -> Int32Array:
    """List the outputs of a regular sparse convolution: every voxel whose window holds an input, int32 [M, 4].

    An output o reads the inputs `o * stride - padding + k`, k in 0..size-1 on each axis. The order is that of first
    occurrence, by the row of the input, then by the weight that it meets. With `shape` the outputs are those of
    spconv's SparseConv3d on a grid of that shape; torchsparse 2.1's default rule for strided convolutions is the same
    with the shape that ends at the largest coordinates (its Minkowski rule is `downsample`).

    Args:
        coords: int32 [N, 4], batch, x, y, z.
        kernel_size: 1 to 7.
        stride: 1 to 64.
        padding: 0 to 64.
        shape: size of the input grid, which starts at 0; outputs lie in `output_shape`. None: anywhere.
        capacity: how many outputs there may be; as many as are possible by default.
        threads: CPU threads, all by default.

    Raises:
        ValueError: a size that is not allowed, a voxel out of range, or more outputs than `capacity`.
    """
    coords = as_array(coords, np.int32, (None, 4), "coords")
    window = _window(kernel_size, stride, padding)
    if capacity is None:
        most = math.prod(-(-k // max(s, 1)) for k, s in zip(window.size, window.stride, strict=True))
        capacity = len(coords) * min(max(most, 0), _MOST_WEIGHTS)
    bounds = None
    if shape is not None:
        highest = (size - 1 for size in output_shape(shape, kernel_size, stride, padding))
        bounds = (ctypes.c_int32 * 6)(0, 0, 0, *highest)
    outputs, count = empty(coords, (max(capacity, 0), 4), np.int32), ctypes.c_int64()
    arguments = (coords, len(coords), ctypes.byref(window), bounds, outputs, capacity, ctypes.byref(count))
    binding.call("pk_window_outputs", *arguments, threads=threads)
    return outputs[: count.value]


def window_table(
    coords: Any,
    out_coords: Any,
    kernel_size: PerAxis,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    threads: int | None = None,
) -> Int32Array:
    """Find the inputs in the window of every output: int32 [M, K], x fastest.

    An output o reads the inputs `o * stride - padding + k`, k in 0..size-1 on each axis. The outputs may be any voxels:
    `window_outputs`, or a coarser level (`downsample`) for torchsparse's Minkowski rule.

    Args:
        coords: int32 [N, 4], batch, x, y, z of the inputs, each voxel once.
        out_coords: int32 [M, 4].
        kernel_size: 1 to 7.
        stride: 1 to 64.
        padding: 0 to 64.
        threads: CPU threads, all by default.

    Raises:
        ValueError: a size that is not allowed, or (on the CPU) a voxel out of range or an input that occurs twice.
    """
    coords = as_array(coords, np.int32, (None, 4), "coords")
    out_coords = as_array(out_coords, np.int32, (None, 4), "out_coords")
    window = _window(kernel_size, stride, padding)
    table = empty(out_coords, (len(out_coords), _volume(window.size)), np.int32)
    arguments = (coords, len(coords), out_coords, len(out_coords), ctypes.byref(window), table)
    binding.call("pk_window_table", *arguments, threads=threads)
    return table


def strided_table(
    parent: Any, offset: Any, coarse_count: int, stride: PerAxis = 2, threads: int | None = None
) -> Int32Array:
    """List the children of every coarse voxel, for a convolution whose size is its stride: int32 [M, K], z fastest.

    `parent` and `offset` are those of `downsample` by the same stride.
    """
    parent = as_array(parent, np.int32, (None,), "parent")
    offset = as_array(offset, np.uint8, (len(parent),), "offset")
    volume = _volume(per_axis(stride, "stride"))
    table = empty(parent, (coarse_count, volume), np.int32)
    arguments = (parent, offset, len(parent), coarse_count, volume, table)
    binding.call("pk_strided_table", *arguments, threads=threads)
    return table


def transpose_table(table: Any, input_count: int, threads: int | None = None) -> Int32Array:
    """Turn a table around: int32 [N_in, K], the output row that each input row feeds through each weight, or -1.

    This is the map of the inverse convolution, which brings features of the outputs back to the inputs.
    """
    table = as_array(table, np.int32, (None, None), "table")
    outputs, volume = table.shape
    transposed = empty(table, (input_count, volume), np.int32)
    arguments = (table, outputs, volume, input_count, transposed)
    binding.call("pk_transpose_table", *arguments, threads=threads)
    return transposed


def output_shape(
    shape: PerAxis, kernel_size: PerAxis, stride: PerAxis = 1, padding: PerAxis = 0
) -> tuple[int, int, int]:
    """Give the shape of the outputs' grid as spconv does: (shape + 2 * padding - size) // stride + 1 on each axis."""
    axes = zip(*(per_axis(value, "shape") for value in (shape, padding, kernel_size, stride)), strict=True)
    x, y, z = ((cells + 2 * pad - size) // max(step, 1) + 1 for cells, pad, size, step in axes)
    return x, y, z


def x_fastest_weights(kernel_size: PerAxis) -> NDArray[np.int64]:
    """Give the order that turns weights with z fastest into the order of the tables: int64 [K].

    A checkpoint of spconv or BEVFusion holds [kx, ky, kz, in, out]: `weight.reshape(K, inputs, outputs)[order]`.
    """
    x, y, z = per_axis(kernel_size, "kernel_size")
    return np.arange(x * y * z).reshape(x, y, z).transpose(2, 1, 0).reshape(-1)


class _Window(ctypes.Structure):
    """What an output voxel reads (pk_window)."""

    _fields_ = tuple((name, ctypes.c_int32 * 3) for name in ("size", "stride", "padding"))


def _window(kernel_size: PerAxis, stride: PerAxis, padding: PerAxis) -> _Window:
    return _Window(per_axis(kernel_size, "kernel_size"), per_axis(stride, "stride"), per_axis(padding, "padding"))


def _volume(size: Any) -> int:
    """Columns of a table; none where the size makes no sense, which the library then says."""
    volume = math.prod(max(edge, 0) for edge in size)
    return volume if volume <= _MOST_WEIGHTS else 0
