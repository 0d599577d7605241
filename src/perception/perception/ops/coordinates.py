"""Voxels as int32 [N, 4] (batch, x, y, z): finding and halving them, natively."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from perception.ops import binding
from perception.ops.arrays import Array, address, as_array, empty

Int32Array = NDArray[np.int32]
#: One number for all axes, or x, y, z.
PerAxis: TypeAlias = int | Sequence[int]

binding.declare(
    pk_hash_build="plp",
    pk_hash_query="pplp",
    pk_unique="plpppp",
    pk_downsample="plppppp",
    pk_voxel_counts="pllp",
)


class Voxels(NamedTuple):
    """Distinct voxels in order of first occurrence.

    Attributes:
        coords: int32 [M, 4], batch, x, y, z.
        first: int32 [M], the first row of the input that lies in each voxel.
        inverse: int32 [N], the voxel of each row of the input.
    """

    coords: Int32Array
    first: Int32Array
    inverse: Int32Array


class Downsampling(NamedTuple):
    """The next coarser level, in order of first occurrence.

    Attributes:
        coords: int32 [M, 4], every distinct floor(xyz / stride) with its batch.
        parent: int32 [N], the coarse row above each fine row.
        offset: uint8 [N], where in its parent a fine voxel lies: 4 dx + 2 dy + dz, d in {0, 1}, for stride 2; in
            general (dx * stride_y + dy) * stride_z + dz.
    """

    coords: Int32Array
    parent: Int32Array
    offset: NDArray[np.uint8]


class CoordinateHash:
    """Rows by voxel, built once and used by every map on the same voxels.

    Raises:
        ValueError: a voxel occurs twice or lies outside batch 0..4095, coordinates -65504..65503.
    """

    def __init__(self, coords: Any, threads: int | None = None) -> None:
        self.coords: Int32Array = as_array(coords, np.int32, (None, 4), "coords")
        capacity = binding.library().pk_hash_capacity(len(self.coords))
        self._keys = empty(self.coords, capacity, np.uint64)
        self._values = empty(self.coords, capacity, np.int32)
        self.native = binding.Hash(address(self._keys), address(self._values), capacity)
        arguments = (self.coords, len(self.coords), ctypes.byref(self.native))
        binding.call("pk_hash_build", *arguments, threads=threads)

    def query(self, wanted: Any, threads: int | None = None) -> Int32Array:
        """Find the row of each wanted voxel, int32 [Q, 4]: int32 [Q], -1 where there is none.

        Raises:
            ValueError: on the CPU, a wanted voxel lies out of range; on a GPU it is just not found.
        """
        wanted = as_array(wanted, np.int32, (None, 4), "wanted")
        rows = empty(wanted, len(wanted), np.int32)
        arguments = (ctypes.byref(self.native), wanted, len(wanted), rows)
        binding.call("pk_hash_query", *arguments, threads=threads, on=self.coords)
        return rows


def unique(coords: Any, threads: int | None = None) -> Voxels:
    """Find the distinct rows of int32 [N, 4], in order of first occurrence."""
    coords = as_array(coords, np.int32, (None, 4), "coords")
    distinct, first, inverse = _voxel_arrays(coords)
    count = ctypes.c_int64()
    outputs = (distinct, first, inverse, ctypes.byref(count))
    binding.call("pk_unique", coords, len(coords), *outputs, threads=threads)
    return Voxels(distinct[: count.value], first[: count.value], inverse)


def voxel_counts(inverse: Any, voxel_count: int, threads: int | None = None) -> Int32Array:
    """Count the rows of each voxel: int32 [M] from the `inverse` of `unique` or `voxelize`; -1 lies in no voxel."""
    inverse = as_array(inverse, np.int32, (None,), "inverse")
    counts = empty(inverse, voxel_count, np.int32)
    binding.call("pk_voxel_counts", inverse, len(inverse), voxel_count, counts, threads=threads)
    return counts


def downsample(coords: Any, stride: PerAxis = 2, threads: int | None = None) -> Downsampling:
    """Lower the resolution by the rule `floor`: a coarse voxel at every distinct floor(xyz / stride).

    Args:
        coords: int32 [N, 4], batch, x, y, z.
        stride: one for all axes, or x, y, z; their product at most 256.
        threads: CPU threads, all by default.
    """
    coords = as_array(coords, np.int32, (None, 4), "coords")
    coarse, parent, _ = _voxel_arrays(coords)
    offset, count = empty(coords, len(coords), np.uint8), ctypes.c_int64()
    outputs = (coarse, parent, offset, ctypes.byref(count))
    binding.call("pk_downsample", coords, len(coords), per_axis(stride, "stride"), *outputs, threads=threads)
    return Downsampling(coarse[: count.value], parent, offset)


def per_axis(value: PerAxis, name: str) -> ctypes.Array[ctypes.c_int32]:
    """Give x, y, z as three int32, from three numbers or one for all axes.

    Raises:
        ValueError: there are not three, or one does not fit int32.
    """
    values = (int(value),) * 3 if isinstance(value, int | np.integer) else tuple(int(each) for each in value)
    if len(values) != 3:
        raise ValueError(f"{name} must be one number or three (x, y, z), found {len(values)}")
    if any(abs(each) > np.iinfo(np.int32).max for each in values):
        raise ValueError(f"{name} must fit int32, found {values}")
    return (ctypes.c_int32 * 3)(*values)


def _voxel_arrays(like: Array) -> tuple[Int32Array, Int32Array, Int32Array]:
    rows = len(like)
    return empty(like, (rows, 4), np.int32), empty(like, rows, np.int32), empty(like, rows, np.int32)
