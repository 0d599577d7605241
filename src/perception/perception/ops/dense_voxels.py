"""Small dense voxel grids around whole clouds, as PVConv uses them, natively.

Clouds and features are batches with the points last, as in the official PVCNN: coordinates [B, 3, N], features
[B, C, N], voxels [B, C, r, r, r] with z fastest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from perception.ops import binding
from perception.ops.arrays import as_array, empty
from perception.ops.convolution import Float32Array
from perception.ops.coordinates import Int32Array

binding.declare(
    pk_dense_coordinates="plliifp",
    pk_dense_voxelize="pplilipp",
    pk_dense_voxelize_gradient="ppplilip",
    pk_dense_devoxelize="pplilip",
    pk_dense_devoxelize_gradient="pplilip",
)


def dense_coordinates(
    points: Any, resolution: int, *, normalize: bool = True, eps: float = 0.0, threads: int | None = None
) -> Float32Array:
    """Fit each cloud into a grid of resolution^3 cells (Point-Voxel CNN, Liu et al. 2019, section 3.1).

    The mean is subtracted. With `normalize` the rest is divided by twice the largest norm plus `eps` and 0.5 is added;
    without, 1 is added and the sum halved. The result is multiplied by the resolution and clamped.

    Args:
        points: float32 [B, 3, N], in any unit.
        resolution: cells along each axis, 1 to 1024.
        normalize: whether clouds of all sizes fill the grid.
        eps: keeps tiny clouds small; a cloud without extent goes to the middle of the grid in any case.
        threads: CPU threads, all by default.

    Returns:
        float32 [B, 3, N] in 0..resolution - 1, in cells.

    Raises:
        ValueError: a point is NaN or infinite (not looked for on a GPU), or the resolution is out of range.
    """
    points = as_array(points, np.float32, (None, 3, None), "points")
    coordinates = empty(points, points.shape, np.float32)
    arguments = (points, points.shape[0], points.shape[2], resolution, int(normalize), eps, coordinates)
    binding.call("pk_dense_coordinates", *arguments, threads=threads)
    return coordinates


def dense_voxelize(
    features: Any, coordinates: Any, resolution: int, threads: int | None = None
) -> tuple[Float32Array, Int32Array]:
    """Average the features of the points in each cell; the cell is the coordinates rounded half to even.

    Args:
        features: float32 [B, C, N].
        coordinates: float32 [B, 3, N] of `dense_coordinates`.
        resolution: cells along each axis.
        threads: CPU threads, all by default.

    Returns:
        float32 [B, C, r, r, r] means, 0 in empty cells, and int32 [B, r, r, r] points in each cell.

    Raises:
        ValueError: a coordinate lies outside 0..resolution - 1 (on a GPU such a point is left out instead).
    """
    features, coordinates, sizes = _points(features, coordinates, resolution, "features")
    batches, channels = features.shape[:2]
    voxels = empty(features, (batches, channels, *_cube(resolution)), np.float32)
    counts = empty(features, (batches, *_cube(resolution)), np.int32)
    binding.call("pk_dense_voxelize", features, coordinates, *sizes, voxels, counts, threads=threads)
    return voxels, counts


def dense_voxelize_gradient(
    voxels_gradient: Any, coordinates: Any, counts: Any, threads: int | None = None
) -> Float32Array:
    """Give the gradient of `dense_voxelize` for the features: [B, C, N] from [B, C, r, r, r]."""
    voxels_gradient, coordinates, sizes = _voxels(voxels_gradient, coordinates, "voxels_gradient")
    batches, channels, resolution = voxels_gradient.shape[:3]
    counts = as_array(counts, np.int32, (batches, *_cube(resolution)), "counts")
    gradient = empty(voxels_gradient, (batches, channels, coordinates.shape[2]), np.float32)
    arguments = (voxels_gradient, coordinates, counts, *sizes)
    binding.call("pk_dense_voxelize_gradient", *arguments, gradient, threads=threads)
    return gradient


def dense_devoxelize(voxels: Any, coordinates: Any, threads: int | None = None) -> Float32Array:
    """Read voxels at points, trilinearly.

    Args:
        voxels: float32 [B, C, r, r, r].
        coordinates: float32 [B, 3, N] of `dense_coordinates`.
        threads: CPU threads, all by default.

    Returns:
        float32 [B, C, N].

    Raises:
        ValueError: a coordinate lies outside 0..r - 1 (on a GPU such a point reads 0 instead).
    """
    voxels, coordinates, sizes = _voxels(voxels, coordinates, "voxels")
    features = empty(voxels, (*voxels.shape[:2], coordinates.shape[2]), np.float32)
    binding.call("pk_dense_devoxelize", voxels, coordinates, *sizes, features, threads=threads)
    return features


def dense_devoxelize_gradient(
    features_gradient: Any, coordinates: Any, resolution: int, threads: int | None = None
) -> Float32Array:
    """Give the gradient of `dense_devoxelize` for the voxels: [B, C, r, r, r] from [B, C, N]."""
    features_gradient, coordinates, sizes = _points(features_gradient, coordinates, resolution, "features_gradient")
    gradient = empty(features_gradient, (*features_gradient.shape[:2], *_cube(resolution)), np.float32)
    binding.call("pk_dense_devoxelize_gradient", features_gradient, coordinates, *sizes, gradient, threads=threads)
    return gradient


def _cube(resolution: int) -> tuple[int, int, int]:
    """Sizes of a grid; a resolution that no array can have is left to the library's check."""
    size = resolution if 1 <= resolution <= 1024 else 0
    return size, size, size


def _points(features: Any, coordinates: Any, resolution: int, name: str) -> tuple[Any, Any, tuple[int, ...]]:
    """Features [B, C, N] and their coordinates, and the sizes as the library takes them."""
    features = as_array(features, np.float32, (None, None, None), name)
    batches, channels, count = features.shape
    coordinates = as_array(coordinates, np.float32, (batches, 3, count), "coordinates")
    return features, coordinates, (batches, channels, count, resolution)


def _voxels(voxels: Any, coordinates: Any, name: str) -> tuple[Any, Any, tuple[int, ...]]:
    """Voxels [B, C, r, r, r] and the coordinates of points, and the sizes as the library takes them."""
    voxels = as_array(voxels, np.float32, (None,) * 5, name)
    batches, channels, resolution = voxels.shape[:3]
    as_array(voxels, np.float32, (batches, channels, *(resolution,) * 3), name)
    coordinates = as_array(coordinates, np.float32, (batches, 3, None), "coordinates")
    return voxels, coordinates, (batches, channels, coordinates.shape[2], resolution)
