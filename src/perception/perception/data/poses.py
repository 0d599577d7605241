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


def twist_between(
    odom_from_base_before: NDArray[np.float64], odom_from_base_after: NDArray[np.float64], seconds: float
) -> NDArray[np.float64]:
    """Mean velocity between two poses of a vehicle, in its own frame: linear (m/s), then angular (rad/s), float64 [6].

    The translation is taken along the chord and seen from the middle of the turn, which for a vehicle on a circle is
    its heading; the rotation is the rotation vector.
    """
    before_from_after = inverse(odom_from_base_before) @ odom_from_base_after
    quaternion = quaternion_of(before_from_after[:3, :3])
    sine = float(np.linalg.norm(quaternion[:3]))
    angle = 2 * np.arctan2(sine, quaternion[3])
    axis = quaternion[:3] / sine if sine > 0 else np.zeros(3)
    half = rotation_of((*(axis * np.sin(angle / 4)), np.cos(angle / 4)))
    return np.concatenate([half.T @ before_from_after[:3, 3], axis * angle]) / seconds


def twists_along(odom_from_base: NDArray[np.float64], stamps_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Velocity [K, 6] at each of K poses [K, 4, 4]: the mean since the pose before (for the first, until the next)."""
    count = len(odom_from_base)
    if count < 2:
        return np.zeros((count, 6))
    later = [
        twist_between(odom_from_base[index], odom_from_base[index + 1], (stamps_ns[index + 1] - stamps_ns[index]) / 1e9)
        for index in range(count - 1)
    ]
    return np.array([later[0], *later])
