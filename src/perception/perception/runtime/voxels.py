"""From a cloud's points to the network's input, as the official evaluation prepares it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perception import ops
from perception.ops.arrays import Array
from perception.runtime.place import HOST, Place


@dataclass(frozen=True)
class FrameVoxels:
    """The voxels of a cloud, where its network runs.

    Attributes:
        coords: int32 [M, 4], batch, x, y, z, counted from the cloud's smallest coordinates.
        features: float32 [M, 4], x, y, z in metres and intensity of the first point in each voxel.
        first: int32 [M], that point's row.
        inverse: int32 [N], each point's voxel.
    """

    coords: Array
    features: Array
    first: Array
    inverse: Array


def voxelize_frame(
    points: NDArray[np.float32],
    voxel_size_m: float,
    batch: int = 0,
    threads: int | None = None,
    place: Place = HOST,
) -> FrameVoxels:
    """Sort points into voxels; the first point of each gives its features.

    Args:
        points: float32 [N, 4], may be a read-only strided view.
        voxel_size_m: edge of a voxel.
        batch: the cloud's number where several are put together.
        threads: CPU threads, all by default.
        place: where the voxels are wanted, and sorted.

    Raises:
        ValueError: a value is NaN or infinite, or a point is too far away for the grid.
    """
    cloud = place.upload(points)
    voxels = ops.voxelize(cloud, voxel_size_m, batch=batch, threads=threads)
    if not np.isfinite(points[:, 3:]).all():  # the coordinates were checked on the way
        raise ValueError("points hold NaN or infinite intensities; remove them first")
    on_cpu = isinstance(cloud, np.ndarray)  # whose rows may lie apart
    features = cloud[voxels.first] if on_cpu else ops.take_rows(cloud, voxels.first)
    return FrameVoxels(voxels.coords, features, voxels.first, voxels.inverse)
