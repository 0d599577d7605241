"""From a cloud's points to the network's input, as the official evaluation prepares it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from perception.nn import _shim as ops


@dataclass(frozen=True)
class FrameVoxels:
    """The voxels of a cloud.

    Attributes:
        coords: int32 [M, 4], batch, x, y, z, counted from the cloud's smallest coordinates.
        features: float32 [M, 4], x, y, z in metres and intensity of the first point in each voxel.
        first: int32 [M], that point's row.
        inverse: int32 [N], each point's voxel.
    """

    coords: Tensor
    features: Tensor
    first: NDArray[np.int32]
    inverse: NDArray[np.int32]


def voxelize_frame(points: NDArray[np.float32], voxel_size_m: float, batch: int = 0) -> FrameVoxels:
    """Sort points into voxels; the first point of each gives its features.

    Args:
        points: float32 [N, 4], may be a read-only strided view.
        voxel_size_m: edge of a voxel.
        batch: the cloud's number where several are put together.

    Raises:
        ValueError: a value is NaN or infinite.
    """
    if not np.isfinite(points).all():
        raise ValueError("points hold NaN or infinite values; remove them first")
    own = torch.from_numpy(np.array(points))
    voxels = ops.voxelize(own, voxel_size_m, batch=batch)
    return FrameVoxels(voxels.coords, own[voxels.first], voxels.first.numpy(), voxels.inverse.numpy())
