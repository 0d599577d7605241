"""What the KITTI data sets share: the vehicle, its cameras, and how its calibration files describe them.

Source: Geiger, Lenz, Urtasun, "Are we ready for autonomous driving?", CVPR 2012, and the vehicle's drawing there.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perception.configuration import ConfigurationError
from perception.data.drive import CameraImage
from perception.data.files import png_size, read_bytes
from perception.data.poses import inverse, rigid_transform

#: The LiDAR is 1.73 m above the ground and its axes are the vehicle's: base_link is put on the ground below it.
BASE_FROM_LIDAR: NDArray[np.float64] = rigid_transform(np.eye(3), (0.0, 0.0, 1.73))

#: The files keep no absolute times, and a stamp of zero means "latest" to tf2: drives start on 2011-10-03 at 12:00 UTC.
START_NS = 1_317_643_200 * 1_000_000_000

#: 10 Hz, the LiDAR's rate, where there are no times at all.
PERIOD_NS = 100_000_000


def entry(calibration: dict[str, NDArray[np.float64]], name: str, path: Path) -> NDArray[np.float64]:
    """One entry of a calibration as a 4x4 matrix.

    Raises:
        ConfigurationError: there is no such entry.
    """
    if name not in calibration:
        raise ConfigurationError(f"{path}: no entry '{name}' (it has: {', '.join(calibration) or 'none'})")
    matrix = np.eye(4)
    rows = calibration[name]
    matrix[: rows.shape[0], : rows.shape[1]] = rows
    return matrix


def camera_image(
    path: Path,
    name: str,
    stamp_ns: int,
    projection: NDArray[np.float64],
    camera0_from_lidar: NDArray[np.float64],
) -> CameraImage:
    """Read a rectified image whose `projection` [4, 4] maps rectified camera-0 coordinates to pixels.

    Raises:
        ConfigurationError: the file cannot be read or is no PNG.
    """
    encoded = read_bytes(path)
    width, height = png_size(path, encoded)
    intrinsics = projection[:3, :3]
    # projection = intrinsics [1 | offset]: rectified cameras differ by a shift only.
    camera_from_camera0 = rigid_transform(np.eye(3), np.linalg.solve(intrinsics, projection[:3, 3]))
    base_from_camera = BASE_FROM_LIDAR @ inverse(camera_from_camera0 @ camera0_from_lidar)
    return CameraImage(name, stamp_ns, encoded, "png", width, height, intrinsics.copy(), base_from_camera)
