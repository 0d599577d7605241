"""From points to voxels, natively: rounding, distinct voxels, and hard voxelisation in a bounded grid."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception.ops import binding
from perception.ops.arrays import Array, as_array, check_shape, empty, view
from perception.ops.coordinates import Int32Array, Voxels

Float32Array = NDArray[np.float32]

binding.declare(
    pk_quantize="pllpp",
    pk_voxelize="pllpiippppp",
    pk_grid_cells="pllpip",
    pk_voxelize_hard="pllipilippppp",
)


class VoxelGrid(NamedTuple):
    """A box of equal cells: round((high - low) / voxel size) along each axis, 1 to 65503 of them.

    Attributes:
        low_m: x, y, z of the lower corner.
        high_m: x, y, z of the upper corner.
        voxel_size_m: edges of a cell along x, y, z, or one for all.
    """

    low_m: Sequence[float]
    high_m: Sequence[float]
    voxel_size_m: float | Sequence[float]


class HardVoxels(NamedTuple):
    """Cells that hold points, in order of first occurrence, with their first points.

    Attributes:
        coords: int32 [V, 4], batch, x, y, z.
        point_counts: int32 [V], points kept in each voxel.
        points: float32 [V, max_points, C], 0 after a voxel's last point; None if not wanted.
        means: float32 [V, C] of the points kept; None if not wanted.
    """

    coords: Int32Array
    point_counts: Int32Array
    points: Float32Array | None
    means: Float32Array | None


class _Grid(ctypes.Structure):
    """A box of equal cells (pk_grid)."""

    _fields_ = tuple((name, ctypes.c_float * 3) for name in ("low_m", "high_m", "voxel_size_m"))


def quantize(points: Any, voxel_size_m: float | Sequence[float], threads: int | None = None) -> Int32Array:
    """Round xyz / voxel size half to even, in float32.

    Args:
        points: float32 [N, 3+], xyz in metres first; rows may lie apart (a view of a message's buffer).
        voxel_size_m: edges of a voxel along x, y, z, or one for all.
        threads: CPU threads, all by default.

    Returns:
        int32 [N, 3].

    Raises:
        ValueError: a point is NaN, infinite or too far away, or the voxel size is not positive. On a GPU such a point
            gets the smallest int32 on each axis instead.
    """
    points = _points(points)
    coords = empty(points, (len(points), 3), np.int32)
    binding.call("pk_quantize", *_rows(points), _three(voxel_size_m, "voxel_size_m"), coords, threads=threads)
    return coords


def voxelize(
    points: Any,
    voxel_size_m: float | Sequence[float],
    *,
    from_minimum: bool = True,
    batch: int = 0,
    threads: int | None = None,
) -> Voxels:
    """Quantize one cloud, shift each axis to start at 0 if `from_minimum`, and keep the distinct voxels.

    Args:
        points: float32 [N, 3+], xyz in metres first; rows may lie apart (a view of a message's buffer).
        voxel_size_m: edges of a voxel along x, y, z, or one for all.
        from_minimum: whether the smallest coordinate of each axis becomes 0, as SPVNAS was trained.
        batch: the batch number of every voxel.
        threads: CPU threads, all by default.

    Raises:
        ValueError: a point is NaN, infinite or too far away, the voxel size is not positive, or a voxel lies out of
            range.
    """
    points = _points(points)
    coords, first = empty(points, (len(points), 4), np.int32), empty(points, len(points), np.int32)
    inverse = empty(points, len(points), np.int32)
    minimum, count = (ctypes.c_int32 * 3)(), ctypes.c_int64()
    arguments = (*_rows(points), _three(voxel_size_m, "voxel_size_m"), int(from_minimum), batch)
    outputs = (coords, first, inverse, minimum, ctypes.byref(count))
    binding.call("pk_voxelize", *arguments, *outputs, threads=threads)
    return Voxels(coords[: count.value], first[: count.value], inverse)


def grid_cells(points: Any, grid: VoxelGrid, *, clamp: bool = False, threads: int | None = None) -> Int32Array:
    """Find the cell floor((xyz - low) / voxel size) of each point, in float32 (mmdet3d's dynamic voxelisation).

    Args:
        points: float32 [N, 3+], xyz in metres first; rows may lie apart.
        grid: the box of cells.
        clamp: give a point outside the nearest cell on each axis (as FlatFormer does) instead of -1, -1, -1.
        threads: CPU threads, all by default.

    Returns:
        int32 [N, 3], x, y, z.

    Raises:
        ValueError: a point is NaN or infinite (on a GPU it gets -1, -1, -1 instead), or the grid is not valid.
    """
    points = _points(points)
    cells = empty(points, (len(points), 3), np.int32)
    binding.call("pk_grid_cells", *_rows(points), _native(grid), int(clamp), cells, threads=threads)
    return cells


def voxelize_hard(
    points: Any,
    grid: VoxelGrid,
    max_points: int,
    max_voxels: int,
    *,
    batch: int = 0,
    with_points: bool = True,
    with_means: bool = True,
    threads: int | None = None,
) -> HardVoxels:
    """Collect the points of each cell up to fixed capacities (mmdet3d's and spconv's hard voxelisation).

    Dropped are points outside the grid, points of a voxel beyond `max_points`, and all points of voxels that occur
    first after `max_voxels` others did. The order of points decides, so the result is deterministic.

    Args:
        points: float32 [N, C], xyz in metres first; rows may lie apart.
        grid: the box of cells; a point's cell is floor((xyz - low) / voxel size).
        max_points: how many points a voxel keeps.
        max_voxels: how many voxels are kept.
        batch: the batch number of every voxel.
        with_points: whether the kept points themselves are wanted.
        with_means: whether their means are wanted (BEVFusion's voxel features).
        threads: CPU threads, all by default.

    Raises:
        ValueError: a point is NaN or infinite, or the grid or a capacity is not valid.
    """
    points = _points(points)
    channels, rows = points.shape[1], max(min(len(points), max_voxels), 0)
    coords, counts = empty(points, (rows, 4), np.int32), empty(points, rows, np.int32)
    kept = empty(points, (rows, max(max_points, 0), channels), np.float32) if with_points else None
    means = empty(points, (rows, channels), np.float32) if with_means else None
    count = ctypes.c_int64()
    arguments = (*_rows(points), channels, _native(grid), max_points, max_voxels, batch)
    binding.call("pk_voxelize_hard", *arguments, kept, means, coords, counts, ctypes.byref(count), threads=threads)
    used = slice(count.value)
    return HardVoxels(
        coords[used], counts[used], None if kept is None else kept[used], None if means is None else means[used]
    )


def _three(values: float | Sequence[float], name: str) -> ctypes.Array[ctypes.c_float]:
    """One number for every axis, as the library takes it."""
    numbers = np.ravel(np.asarray(values, np.float32)).tolist()
    if len(numbers) not in (1, 3):
        raise ValueError(f"{name} must be one number or three, found {len(numbers)}")
    return (ctypes.c_float * 3)(*(numbers if len(numbers) == 3 else numbers * 3))


def _native(grid: VoxelGrid) -> Any:
    return ctypes.byref(_Grid(*(_three(values, name) for name, values in grid._asdict().items())))


def _points(points: Any) -> Array:
    """Points whose rows may lie apart: float32 [N, 3+] with x, y, z side by side."""
    points = view(points, "points")
    if not isinstance(points, np.ndarray):
        points = as_array(points, np.float32, (None, None), "points")
    elif points.dtype != np.float32:
        raise ValueError(f"points must be float32, found {points.dtype.name}")
    check_shape(points, (None, None), "points")
    if points.shape[1] < 3:
        raise ValueError(f"points must have at least the columns x, y, z, found {points.shape[1]} columns")
    if isinstance(points, np.ndarray) and len(points):
        apart = len(points) > 1 and points.strides[0] < 4 * points.shape[1]
        if points.strides[1] != 4 or apart:
            raise ValueError("points must hold x, y, z side by side in every row; pass a contiguous copy")
    return points


def _rows(points: Array) -> tuple[Array, int, int]:
    """Points as the library takes them: the array, its rows, and the bytes from a row to the next."""
    width = 4 * points.shape[1]
    return points, len(points), max(points.strides[0], width) if isinstance(points, np.ndarray) else width
