"""Rigid transforms as 4x4 matrices and as ROS's quaternions (x, y, z, w)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def rigid_transform(rotation: ArrayLike, translation: ArrayLike) -> NDArray[np.float64]:
    """Assemble float64 [4, 4] from a rotation [3, 3] and a translation [3] in metres."""
    transform = np.eye(4)
    transform[:3, :3] = rotation
    transform[:3, 3] = translation
    return transform


def inverse(target_from_source: NDArray[np.float64]) -> NDArray[np.float64]:
    """Invert a rigid transform: source_from_target, float64 [4, 4]."""
    rotation = target_from_source[:3, :3]
    return rigid_transform(rotation.T, -rotation.T @ target_from_source[:3, 3])


def rotation_of(quaternion_xyzw: Sequence[float]) -> NDArray[np.float64]:
    """Rotation matrix float64 [3, 3] of a quaternion of any length but zero."""
    x, y, z, w = np.asarray(quaternion_xyzw, np.float64) / np.linalg.norm(quaternion_xyzw)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_of(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit quaternion float64 [4] (x, y, z, w; w >= 0) nearest to a rotation matrix [3, 3].

    The eigenvector of the largest eigenvalue of a symmetric 4x4 matrix (Bar-Itzhack, 2000): it has no special cases,
    and a matrix that calibration files round to a few digits yields the nearest rotation.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = np.asarray(rotation, np.float64)
    symmetric = np.array(
        [
            [xx - yy - zz, yx + xy, zx + xz, zy - yz],
            [yx + xy, yy - xx - zz, zy + yz, xz - zx],
            [zx + xz, zy + yz, zz - xx - yy, yx - xy],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    quaternion = np.linalg.eigh(symmetric)[1][:, -1]
    return -quaternion if quaternion[3] < 0 else quaternion
