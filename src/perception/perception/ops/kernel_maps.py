"""Tables that say which input row each weight of each output row multiplies: int32 [N_out, K], -1 for none."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from perception.ops import binding
from perception.ops.arrays import as_array, empty
from perception.ops.coordinates import CoordinateHash, Int32Array

binding.declare(
    pk_submanifold_table="plpip",
    pk_strided_table="ppllp",
    pk_transpose_table="plilp",
)


def submanifold_table(coords: Any, kernel_size: int = 3, threads: int | None = None) -> Int32Array:
    """Find the neighbours of every voxel in a cube of odd size: int32 [N, size**3], x fastest.

    `coords` is int32 [N, 4], or the `CoordinateHash` of it, which saves building that again.
    """
    rows = coords if isinstance(coords, CoordinateHash) else CoordinateHash(coords, threads)
    table = empty(rows.coords, (len(rows.coords), max(kernel_size, 0) ** 3), np.int32)
    arguments = (rows.coords, len(rows.coords), ctypes.byref(rows.native), kernel_size, table)
    binding.call("pk_submanifold_table", *arguments, threads=threads)
    return table


def strided_table(parent: Any, offset: Any, coarse_count: int, threads: int | None = None) -> Int32Array:
    """List the children of every coarse voxel, for the convolution of size 2 and stride 2: int32 [M, 8], z fastest.

    `parent` and `offset` are those of `downsample`.
    """
    parent = as_array(parent, np.int32, (None,), "parent")
    offset = as_array(offset, np.uint8, (len(parent),), "offset")
    table = empty(parent, (coarse_count, 8), np.int32)
    arguments = (parent, offset, len(parent), coarse_count, table)
    binding.call("pk_strided_table", *arguments, threads=threads)
    return table


def transpose_table(table: Any, input_count: int, threads: int | None = None) -> Int32Array:
    """Turn a table around: int32 [N_in, K], the output row that each input row feeds through each weight, or -1."""
    table = as_array(table, np.int32, (None, None), "table")
    outputs, volume = table.shape
    transposed = empty(table, (input_count, volume), np.int32)
    arguments = (table, outputs, volume, input_count, transposed)
    binding.call("pk_transpose_table", *arguments, threads=threads)
    return transposed
