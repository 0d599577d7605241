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
    return np.concatenate([_seen_from(last_from_odom, moment, last.frame.stamp_ns) for moment in moments])


def _seen_from(last_from_odom: NDArray[np.float64], moment: DriveFrame, stamp_ns: int) -> NDArray[np.float32]:
    last_from_lidar = last_from_odom @ _odom_from_lidar(moment)
    points = moment.frame.cloud.points
    xyz = points[:, :3] @ last_from_lidar[:3, :3].T + last_from_lidar[:3, 3]
    lag_s = np.full((len(points), 1), (stamp_ns - moment.frame.stamp_ns) / 1e9)
    return np.concatenate([xyz, points[:, 3:4], lag_s], axis=1).astype(np.float32)


def _odom_from_lidar(moment: DriveFrame) -> NDArray[np.float64]:
    if moment.odom_from_base is None:
        raise ConfigurationError("several sweeps at once need the vehicle's motion, which this drive does not have")
    return moment.odom_from_base @ moment.base_from_lidar
