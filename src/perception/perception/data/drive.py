"""One moment of a drive, wherever it comes from: the simulator, a data set's folder, or a bag."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.types import Boxes3D, Frame


@dataclass(frozen=True)
class CameraImage:
    """An encoded image with its calibration.

    Attributes:
        name: the camera's name, also its tf frame.
        stamp_ns: when it was taken.
        encoded: the file's bytes.
        format: "jpeg" or "png", as in sensor_msgs/CompressedImage.
        width, height: pixels.
        intrinsics: float64 [3, 3].
        base_from_camera: float64 [4, 4], camera axes x right, y down, z forward.
    """

    name: str
    stamp_ns: int
    encoded: bytes
    format: str
    width: int
    height: int
    intrinsics: NDArray[np.float64]
    base_from_camera: NDArray[np.float64]


@dataclass(frozen=True)
class DriveFrame:
    """A sweep with everything that is known about it; what is unknown is None.

    Attributes:
        frame: the sweep, its stamp and its frame id.
        base_from_lidar: float64 [4, 4], where the LiDAR sits on the vehicle (base_link).
        class_ids: uint8 [N], SemanticKITTI class of each point, 255 where ignored.
        instance_ids: uint32 [N], the object that each point lies on, 0 for none.
        objects: ground-truth boxes in the cloud's frame, class names of nuScenes.
        odom_from_base: float64 [4, 4], pose of the vehicle at the sweep's stamp.
        twist: float64 [6], linear (m/s) then angular (rad/s) velocity in base_link.
        images: what the cameras saw.
        difficulty: uint8 [M], KITTI's first level that counts each object: 0 easy, 1 moderate, 2 hard, 3 none.
        message: the sweep's PointCloud2 as it was recorded, from which networks get exactly what a node would give
            them; points of `frame` are its rows.
    """

    frame: Frame
    base_from_lidar: NDArray[np.float64]
    class_ids: NDArray[np.uint8] | None = None
    instance_ids: NDArray[np.uint32] | None = None
    objects: Boxes3D | None = None
    odom_from_base: NDArray[np.float64] | None = None
    twist: NDArray[np.float64] | None = None
    images: tuple[CameraImage, ...] = ()
    difficulty: NDArray[np.uint8] | None = None
    message: Any | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Drive:
    """A recorded drive that is read as it is asked for.

    Attributes:
        frame_count: how many frames there are.
        frames: the frames in the order of time; each iteration reads them again.
        notes: what the source lacks or the reader leaves out, one line each, for the person who converts it.
    """

    frame_count: int
    frames: Iterable[DriveFrame]
    notes: tuple[str, ...] = ()
