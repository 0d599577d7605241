"""Between points and voxels: trilinear reading and averaging, natively."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from perception.ops import binding
from perception.ops.arrays import as_array, as_features, empty, output
from perception.ops.convolution import FeatureArray, Float32Array
from perception.ops.coordinates import CoordinateHash, Int32Array

binding.declare(
    pk_trilinear_table="plippp",
    pk_devoxelize="pilipplp",
    pk_devoxelize_gradient="plipplp",
    pk_scatter_mean="piliplpp",
    pk_scatter_mean_gradient="plipplp",
)


def trilinear_table(
    points: Any, coords: Any, stride: int, threads: int | None = None
) -> tuple[Int32Array, Float32Array]:
    """Find the 8 voxels around each point and their trilinear weights.

    Args:
        points: float32 [P, 4], batch and xyz in voxels of stride 1.
        coords: int32 [N, 4], voxels of the given stride in units of that stride, or their `CoordinateHash`.
        stride: how many fine voxels a voxel of `coords` spans.
        threads: CPU threads, all by default.

    Returns:
        int32 [P, 8] rows (-1 where absent; corner order x slowest, z fastest) and float32 [P, 8] weights: absent
        corners weigh 0, the rest are divided by their sum + 1e-8, as in torchsparse.
    """
    points = as_array(points, np.float32, (None, 4), "points")
    rows = coords if isinstance(coords, CoordinateHash) else CoordinateHash(coords, threads)
    indices, weights = empty(points, (len(points), 8), np.int32), empty(points, (len(points), 8), np.float32)
    arguments = (points, len(points), stride, ctypes.byref(rows.native), indices, weights)
    binding.call("pk_trilinear_table", *arguments, threads=threads)
    return indices, weights


def devoxelize(
    features: Any, indices: Any, weights: Any, threads: int | None = None, *, out: Any = None
) -> FeatureArray:
    """Interpolate voxel features at points.

    Args:
        features: float32 or float16 [N, C].
        indices: int32 [P, 8] of `trilinear_table`.
        weights: float32 [P, 8] of `trilinear_table`.
        threads: CPU threads, all by default.
        out: where the result goes, apart from the inputs; a new array if None.

    Returns:
        [P, C] of the type of the features; sums are float32 and rounded once.
    """
    features, dtype, code = as_features(features, "features")
    indices, weights = _trilinear(indices, weights)
    count, channels = features.shape
    result = output(out, features, (len(indices), channels), dtype, (features, indices, weights))
    table = (indices, weights, len(indices))
    binding.call("pk_devoxelize", features, code, count, channels, *table, result, threads=threads)
    return result


def devoxelize_gradient(
    output_gradient: Any, indices: Any, weights: Any, voxel_count: int, threads: int | None = None
) -> Float32Array:
    """Give the gradient of `devoxelize` for the voxel features: [voxel_count, C] from [P, C]."""
    indices, weights = _trilinear(indices, weights)
    output_gradient = as_array(output_gradient, np.float32, (len(indices), None), "output_gradient")
    channels = output_gradient.shape[1]
    gradient = empty(output_gradient, (voxel_count, channels), np.float32)
    arguments = (output_gradient, len(indices), channels, indices, weights, voxel_count)
    binding.call("pk_devoxelize_gradient", *arguments, gradient, threads=threads)
    return gradient


def scatter_mean(
    features: Any, index: Any, voxel_count: int, threads: int | None = None, *, out: Any = None
) -> tuple[FeatureArray, Int32Array]:
    """Average the features of the points of each voxel.

    Args:
        features: float32 or float16 [P, C].
        index: int32 [P], the voxel of each point; -1 leaves a point out.
        voxel_count: how many voxels there are.
        threads: CPU threads, all by default.
        out: where the means go, apart from the inputs; a new array if None.

    Returns:
        [voxel_count, C] means of the type of the features (0 where a voxel has no point; sums are float32), and int32
        [voxel_count] points in each.
    """
    features, dtype, code = as_features(features, "features")
    index = as_array(index, np.int32, (len(features),), "index")
    means = output(out, features, (voxel_count, features.shape[1]), dtype, (features, index))
    counts = empty(features, voxel_count, np.int32)
    arguments = (features, code, *features.shape, index, voxel_count, means, counts)
    binding.call("pk_scatter_mean", *arguments, threads=threads)
    return means, counts


def scatter_mean_gradient(means_gradient: Any, index: Any, counts: Any, threads: int | None = None) -> Float32Array:
    """Give the gradient of `scatter_mean` for the point features: [P, C] from [N, C]."""
    means_gradient = as_array(means_gradient, np.float32, (None, None), "means_gradient")
    index = as_array(index, np.int32, (None,), "index")
    counts = as_array(counts, np.int32, (len(means_gradient),), "counts")
    gradient = empty(means_gradient, (len(index), means_gradient.shape[1]), np.float32)
    arguments = (means_gradient, *means_gradient.shape, index, counts, len(index), gradient)
    binding.call("pk_scatter_mean_gradient", *arguments, threads=threads)
    return gradient


def _trilinear(indices: Any, weights: Any) -> tuple[Int32Array, Float32Array]:
    indices = as_array(indices, np.int32, (None, 8), "indices")
    return indices, as_array(weights, np.float32, (len(indices), 8), "weights")
