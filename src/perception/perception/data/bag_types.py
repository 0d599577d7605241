"""The ROS 2 messages that a drive's bag holds, known without a ROS 2 installation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from perception.configuration import ConfigurationError

POINT_CLOUD = "sensor_msgs/msg/PointCloud2"
DETECTIONS = "vision_msgs/msg/Detection3DArray"
ODOMETRY = "nav_msgs/msg/Odometry"
TRANSFORMS = "tf2_msgs/msg/TFMessage"
IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
MARKERS = "visualization_msgs/msg/MarkerArray"

#: vision_msgs is no part of rosbags' type stores; field for field as vision_msgs 4 declares them.
VISION_MESSAGES = {
    "ObjectHypothesis": "string class_id\nfloat64 score\n",
    "ObjectHypothesisWithPose": "vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose\n",
    "BoundingBox3D": "geometry_msgs/Pose center\ngeometry_msgs/Vector3 size\n",
    "Detection3D": (
        "std_msgs/Header header\n"
        "vision_msgs/ObjectHypothesisWithPose[] results\n"
        "vision_msgs/BoundingBox3D bbox\n"
        "string id\n"
    ),
    "Detection3DArray": "std_msgs/Header header\nvision_msgs/Detection3D[] detections\n",
}


class BagError(ConfigurationError):
    """A bag that cannot be used; the message is one line that names it."""


def one_line(error: Exception) -> str:
    """Say what a library raised, for the sentence of a BagError."""
    return " ".join(str(error).split()) or type(error).__name__


@dataclass(frozen=True)
class Topics:
    """Where the parts of a drive are in a bag.

    Attributes:
        points: the sweeps, sensor_msgs/PointCloud2.
        labelled_points: the same sweeps with `class_id` and `instance`, in the same order of points.
        objects: ground-truth boxes, vision_msgs/Detection3DArray.
        velocities: velocities of those boxes in their order, PointCloud2 with x y z vx vy (vision_msgs has no field
            for a velocity).
        difficulties: how hard these objects are to see, in their order, PointCloud2 with x y z difficulty.
        odometry: nav_msgs/Odometry.
        cameras: prefix under which each camera has `<name>/image/compressed` and `<name>/camera_info`.
    """

    points: str = "/points"
    labelled_points: str = "/ground_truth/points"
    objects: str = "/ground_truth/objects"
    velocities: str = "/ground_truth/velocities"
    difficulties: str = "/ground_truth/difficulties"
    odometry: str = "/odometry"
    cameras: str = "/camera"

    @property
    def truth(self) -> tuple[str, ...]:
        """Topics of what is true."""
        return self.labelled_points, self.objects, self.velocities, self.difficulties

    def image(self, camera: str) -> str:
        """Topic of a camera's compressed images."""
        return f"{self.cameras}/{camera}/image/compressed"

    def camera_info(self, camera: str) -> str:
        """Topic of a camera's calibration."""
        return f"{self.cameras}/{camera}/camera_info"


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """The messages above as Humble declares them; Jazzy and Kilted declare them alike (their hashes are equal)."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    for name, definition in VISION_MESSAGES.items():
        store.register(get_types_from_msg(definition, f"vision_msgs/msg/{name}"))
    return store


def new(message_type: str, **fields: Any) -> Any:
    """Make a message; `message_type` may leave out "/msg/", as in "std_msgs/Header"."""
    package, name = message_type.split("/")[0], message_type.split("/")[-1]
    return typestore().types[f"{package}/msg/{name}"](**fields)


def header(stamp_ns: int, frame_id: str) -> Any:
    """Make a std_msgs/Header; the stamp is exact to the nanosecond."""
    seconds, nanoseconds = divmod(int(stamp_ns), 1_000_000_000)
    return new(
        "std_msgs/Header", stamp=new("builtin_interfaces/Time", sec=seconds, nanosec=nanoseconds), frame_id=frame_id
    )


def stamp_ns_of(message: Any) -> int:
    """Nanoseconds of a message's header stamp."""
    stamp = message.header.stamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
