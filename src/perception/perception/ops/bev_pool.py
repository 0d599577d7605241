"""Camera features and LiDAR depths to a bird's-eye view (Lift-Splat, BEVFusion), natively.

A frustum point is one depth of one pixel of one camera's feature map. Points are numbered as depth probabilities
[cameras, D, h, w] lie, the cameras of all samples one after another. Maps are [samples, nz * C, nx, ny]: x is the
first spatial axis.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from perception.ops import binding
from perception.ops.arrays import DTYPE_CODES, Array, as_array, empty, float_dtype, view

binding.declare(
    pk_bev_cells="plipp",
    pk_bev_order="pllpp",
    pk_bev_pool="pliippilp",
    pk_bev_pool_gradient="ppliilp",
    pk_lift_pool="pppppp",
    pk_lift_pool_gradient="ppppppp",
)


class BevGrid(NamedTuple):
    """The cells of one sample.

    Attributes:
        lower_m: x, y, z where the first cell begins, float32 values, in the frame of the points.
        cell_size_m: along x, y, z.
        shape: cells along x, y, z.
    """

    lower_m: tuple[float, float, float]
    cell_size_m: tuple[float, float, float]
    shape: tuple[int, int, int]

    @classmethod
    def from_bounds(cls, bounds_m: Sequence[Sequence[float]]) -> BevGrid:
        """Make the grid of BEVFusion's xbound, ybound, zbound: (lower, upper, cell size) of each axis.

        Float32 rounding and the truncation of the number of cells are those of the official `gen_dx_bx`.
        """
        size = np.array([step for _, _, step in bounds_m], np.float32)
        first_centre = np.array([lower + step / 2 for lower, _, step in bounds_m], np.float32)
        x, y, z = (int((upper - lower) / step) for lower, upper, step in bounds_m)
        return cls(tuple((first_centre - size / 2).tolist()), tuple(size.tolist()), (x, y, z))


class BevPlan(NamedTuple):
    """Which frustum points fall into which cell, for one calibration.

    Attributes:
        cells: int32 [points], the cell of each point, ((sample * nz + z) * nx + x) * ny + y; -1 outside.
        begins: int32 [all cells + 1], where the points of each cell begin in `order`.
        order: int32 [points], points by cell, ascending within one; -1 after the last.
        planes: samples times nz.
        samples: how many.
        shape: cells along x, y, z.
    """

    cells: Array
    begins: Array
    order: Array
    planes: int
    samples: int
    shape: tuple[int, int, int]

    @property
    def plane_cells(self) -> int:
        """Count the cells of one height of one sample."""
        return self.shape[0] * self.shape[1]

    def map_shape(self, channels: int) -> tuple[int, int, int, int]:
        """Tell the shape of a pooled map, [samples, nz * channels, nx, ny]."""
        x, y, z = self.shape
        return self.samples, z * channels, x, y


class _Grid(ctypes.Structure):
    _fields_ = (("lower_m", ctypes.c_float * 3), ("cell_size_m", ctypes.c_float * 3), ("shape", ctypes.c_int32 * 3))


class _Lift(ctypes.Structure):
    _names = ("cameras", "depths", "pixels", "channels", "channels_last", "dtype", "planes")
    _fields_ = (*((name, ctypes.c_int32) for name in _names), ("plane_cells", ctypes.c_int64))


def bev_plan(points: Any, grid: BevGrid, samples: int = 1, threads: int | None = None) -> BevPlan:
    """Sort frustum points into the cells of a bird's-eye view, once per calibration.

    Args:
        points: float32 [..., 3], metres in the grid's frame, sample by sample in the order of the depth probabilities.
        grid: the cells of one sample.
        samples: how many samples the points belong to, in equal shares.
        threads: CPU threads, all by default.

    The cell is (point - lower) / size truncated towards zero, as in BEVFusion: cell 0 also takes points up to one cell
    outside.
    """
    points = _rows(points, np.dtype(np.float32), "points", 3)
    n, (x, y, z) = math.prod(points.shape[:-1]), grid.shape
    cells, order = empty(points, n, np.int32), empty(points, n, np.int32)
    vector, counts = ctypes.c_float * 3, ctypes.c_int32 * 3
    native = _Grid(vector(*grid.lower_m), vector(*grid.cell_size_m), counts(*grid.shape))
    binding.call("pk_bev_cells", points, n, samples, ctypes.byref(native), cells, threads=threads)
    begins = empty(points, samples * x * y * z + 1, np.int32)
    binding.call("pk_bev_order", cells, n, samples * x * y * z, begins, order, threads=threads)
    return BevPlan(cells, begins, order, samples * z, samples, grid.shape)


def bev_pool(features: Any, plan: BevPlan, threads: int | None = None) -> Array:
    """Add up the features of each cell's points, as BEVFusion's bev_pool: [samples, nz * C, nx, ny].

    Args:
        features: float32 or float16 [..., C], the points in the order of the plan.
        plan: from `bev_plan`.
        threads: CPU threads, all by default; the result does not depend on it.
    """
    dtype = float_dtype(features, "features")
    features = _rows(features, dtype, "features")
    n, channels = math.prod(features.shape[:-1]), features.shape[-1]
    _check_points(plan, n)
    result = empty(features, plan.map_shape(channels), dtype)
    arguments = (features, n, channels, DTYPE_CODES[dtype], plan.order, plan.begins, plan.planes, plan.plane_cells)
    binding.call("pk_bev_pool", *arguments, result, threads=threads)
    return result


def bev_pool_gradient(map_gradient: Any, plan: BevPlan, threads: int | None = None) -> Array:
    """Give the gradient of `bev_pool` for the features: float32 [points, C] from [samples, nz * C, nx, ny]."""
    map_gradient, channels = _map_gradient(map_gradient, plan)
    n = len(plan.cells)
    gradient = empty(map_gradient, (n, channels), np.float32)
    arguments = (map_gradient, plan.cells, n, channels, plan.planes, plan.plane_cells, gradient)
    binding.call("pk_bev_pool_gradient", *arguments, threads=threads)
    return gradient


def lift_pool(
    depth: Any, context: Any, plan: BevPlan, *, channels_last: bool = False, threads: int | None = None
) -> Array:
    """Pool the product of depth and context without ever storing it: [samples, nz * C, nx, ny].

    The same as `bev_pool` of depth[i, d, v, u] * context[i, :, v, u] (Lift, Splat, Shoot, sections 3.1 and 3.2).

    Args:
        depth: float32 or float16 [cameras, D, h, w], probabilities; the cameras of all samples.
        context: [cameras, C, h, w], or [cameras, h, w, C] with `channels_last`, which saves a copy; type of depth.
        plan: from `bev_plan`, of cameras * D * h * w points.
        channels_last: the layout of context.
        threads: CPU threads, all by default; the result does not depend on it.
    """
    dtype = float_dtype(depth, "depth")
    depth, context, native = _lift(depth, context, dtype, plan, channels_last)
    result = empty(depth, plan.map_shape(native.channels), dtype)
    arguments = (ctypes.byref(native), depth, context, plan.order, plan.begins, result)
    binding.call("pk_lift_pool", *arguments, threads=threads)
    return result


def lift_pool_gradient(
    depth: Any,
    context: Any,
    map_gradient: Any,
    plan: BevPlan,
    *,
    channels_last: bool = False,
    threads: int | None = None,
) -> tuple[Array, Array]:
    """Give the gradients of `lift_pool` for depth and context, all float32, laid out as depth and context."""
    depth, context, native = _lift(depth, context, np.dtype(np.float32), plan, channels_last)
    map_gradient, channels = _map_gradient(map_gradient, plan)
    if channels != native.channels:
        raise ValueError(f"map_gradient must have {native.channels} channels a plane, found {channels}")
    gradients = empty(depth, depth.shape, np.float32), empty(context, context.shape, np.float32)
    arguments = (ctypes.byref(native), depth, context, map_gradient, plan.cells, *gradients)
    binding.call("pk_lift_pool_gradient", *arguments, threads=threads)
    return gradients


def _rows(value: Any, dtype: np.dtype[Any], name: str, channels: int | None = None) -> Array:
    leading = max(len(view(value, name).shape) - 1, 1)
    return as_array(value, dtype, (*(None,) * leading, channels), name)


def _check_points(plan: BevPlan, n: int) -> None:
    if n != len(plan.order):
        raise ValueError(f"the plan is of {len(plan.order)} points, found {n}")


def _map_gradient(value: Any, plan: BevPlan) -> tuple[Array, int]:
    x, y, z = plan.shape
    value = as_array(value, np.float32, (plan.samples, None, x, y), "map_gradient")
    if value.shape[1] % z:
        raise ValueError(f"map_gradient must have a multiple of {z} channels, found {value.shape[1]}")
    return value, value.shape[1] // z


def _lift(
    depth: Any, context: Any, dtype: np.dtype[Any], plan: BevPlan, channels_last: bool
) -> tuple[Array, Array, _Lift]:
    depth = as_array(depth, dtype, (None, None, None, None), "depth")
    cameras, depths, height, width = depth.shape
    shape = (cameras, height, width, None) if channels_last else (cameras, None, height, width)
    context = as_array(context, dtype, shape, "context")
    _check_points(plan, cameras * depths * height * width)
    counts = (cameras, depths, height * width, context.shape[3 if channels_last else 1])
    sizes = (*counts, channels_last, DTYPE_CODES[dtype], plan.planes, plan.plane_cells)
    return depth, context, _Lift(*sizes)
