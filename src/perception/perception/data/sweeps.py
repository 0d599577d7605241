"""Several sweeps as one cloud, as seen from where the last one was measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from perception.configuration import ConfigurationError
from perception.data.drive import DriveFrame
from perception.data.poses import inverse


def merged_points(moments: Sequence[DriveFrame]) -> NDArray[np.float32]:
    """Bring the sweeps of consecutive moments into the frame of the last.

    Args:
        moments: in the order of time, at least one; more need `odom_from_base`.

    Returns:
        float32 [N, 4] of a single moment as they are; of more float32 [N, 5], moment by moment: x, y, z (m), intensity,
        and how long before the last moment the point was measured (s, 0 for the last sweep).

    Raises:
        ConfigurationError: several moments, and the drive does not say how the vehicle moved.
    """
    last = moments[-1]
    if len(moments) == 1:
        return last.frame.cloud.points
    last_from_odom = inverse(_odom_from_lidar(last))
    return np.concatenate(
        [
            moved_sweep(
                moment.frame.cloud.points,
                last_from_odom @ _odom_from_lidar(moment),
                (last.frame.stamp_ns - moment.frame.stamp_ns) / 1e9,
            )
            for moment in moments
        ]
    )


def moved_sweep(
    points: NDArray[np.float32], target_from_source: NDArray[np.float64], lag_s: float
) -> NDArray[np.float32]:
    """Move a sweep into another frame, and say how old it is.

    Args:
        points: float32 [N, C]: x, y, z (m), and features that stay.
        target_from_source: rigid, [4, 4].
        lag_s: the last column of the result.

    Returns:
        float32 [N, C + 1].
    """
    moved = np.empty((len(points), points.shape[1] + 1), np.float32)
    moved[:, :3] = points[:, :3] @ target_from_source[:3, :3].T + target_from_source[:3, 3]
    moved[:, 3:-1] = points[:, 3:]
    moved[:, -1] = lag_s
    return moved


def _odom_from_lidar(moment: DriveFrame) -> NDArray[np.float64]:
    if moment.odom_from_base is None:
        raise ConfigurationError("several sweeps at once need the vehicle's motion, which this drive does not have")
    return moment.odom_from_base @ moment.base_from_lidar
