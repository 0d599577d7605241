"""ROS messages as a viewer shows them, each topic under its own name: the same for a bag and for a running robot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from perception.classes import SEMANTIC_KITTI, class_set_named
from perception.data.bag_messages import decode_objects, decode_transforms
from perception.data.bag_types import TRANSFORMS, BagError, stamp_ns_of
from perception.data.point_layout import CloudError
from perception.evaluation.view.clouds import show_cloud
from perception.evaluation.view.viewer import Viewer

TRUTH_PREFIX = "/ground_truth/"
#: Without these the rest cannot be shown rightly: they are shown whatever was asked for.
SETTINGS = {TRANSFORMS, "sensor_msgs/msg/CameraInfo", "vision_msgs/msg/LabelInfo"}
#: The same points once more; on a robot they would be computed for nobody else.
COPIES = ("*/output/pointcloud/visualization", "*/output/pointcloud/filtered")
LEVELS = ("INFO", "WARN", "ERROR", "ERROR")
#: sensor_msgs/Image encoding -> the columns that are red, green and blue.
ENCODINGS = {"rgb8": (0, 1, 2), "bgr8": (2, 1, 0), "rgba8": (0, 1, 2), "bgra8": (2, 1, 0), "mono8": (0,)}


class Messages:
    """Shows messages by their type, a key of KINDS.

    Args:
        viewer: shows them.
        color_by: how points without classes are coloured, a key of clouds.COLOR_FIELDS.
    """

    def __init__(self, viewer: Viewer, color_by: str = "height") -> None:
        self._viewer = viewer
        self._color_by = color_by
        self._names: dict[str, tuple[str, ...]] = {}
        self._said: dict[tuple[str, str], str] = {}

    def show(self, topic: str, message_type: str, read: Callable[[], Any]) -> None:
        """Show the message that `read` gives; one that cannot be read or shown is a line of text, not an error."""
        try:
            KINDS[message_type](self, topic, read())
        except (BagError, CloudError) as error:
            self._say(topic, str(error), "WARN")

    def _cloud(self, topic: str, message: Any) -> None:
        self._viewer.at(stamp_ns_of(message))
        has_names = any(field.name == "class_id" for field in message.fields) and self._name_classes(topic)
        show_cloud(self._viewer, topic, message, self._color_by, has_names)

    def _name_classes(self, topic: str) -> bool:
        """Tell the names of the node's label_info; the truth of bags is in SemanticKITTI's classes; whether known."""
        node = topic.partition("/output/")[0]
        names = self._names.get(node, SEMANTIC_KITTI.names if topic.startswith(TRUTH_PREFIX) else ())
        known = class_set_named(names)
        self._viewer.classes(topic, names, known.colors.tolist() if known else None)
        return bool(names)

    def _label_info(self, topic: str, message: Any) -> None:
        by_id = {entry.class_id: entry.class_name for entry in message.class_map}
        names = tuple(by_id.get(index, str(index)) for index in range(max(by_id, default=-1) + 1))
        self._names[topic.removesuffix("/label_info")] = names

    def _objects(self, topic: str, message: Any) -> None:
        self._viewer.at(stamp_ns_of(message))
        boxes = decode_objects(message, None)
        self._viewer.boxes(topic, message.header.frame_id, boxes, is_truth=topic.startswith(TRUTH_PREFIX))

    def _transforms(self, topic: str, message: Any) -> None:
        for stamp_ns, parent, child, parent_from_child in decode_transforms(message):
            self._viewer.at(stamp_ns)
            self._viewer.transform(parent, child, parent_from_child, static=topic.endswith("tf_static"))

    def _calibration(self, topic: str, message: Any) -> None:
        intrinsics = np.array(message.k, np.float64).reshape(3, 3)
        size = int(message.width), int(message.height)
        if intrinsics[0, 0] and all(size):
            self._viewer.calibration(camera_of(topic), message.header.frame_id, intrinsics, size)

    def _compressed_image(self, topic: str, message: Any) -> None:
        self._viewer.at(stamp_ns_of(message))
        # compressed_image_transport writes "bgr8; jpeg compressed bgr8" where others write "jpeg" or "jpg".
        image_format = "png" if "png" in message.format else "jpeg"
        self._viewer.encoded_image(camera_of(topic), bytes(message.data), image_format)

    def _image(self, topic: str, message: Any) -> None:
        if message.encoding not in ENCODINGS:
            raise BagError(f"images in {message.encoding} are not shown, only in {', '.join(ENCODINGS)}")
        self._viewer.at(stamp_ns_of(message))
        depth = message.step // message.width if message.width else 1
        rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
        pixels = rows[:, : message.width * depth].reshape(message.height, message.width, depth)
        self._viewer.image(camera_of(topic), pixels[..., ENCODINGS[message.encoding]])

    def _timings(self, topic: str, message: Any) -> None:
        self._viewer.at(stamp_ns_of(message))
        self._viewer.series(f"{topic}/total", message.total_ms, "latency (ms)")
        self._viewer.series(f"{topic}/inference", message.inference_ms, "latency (ms)")

    def _diagnostics(self, topic: str, message: Any) -> None:
        """What is new: a status that says the same every second is said once."""
        self._viewer.at(stamp_ns_of(message))
        for status in message.status:
            # rclpy gives a byte, a bag's reader a number.
            level = status.level if isinstance(status.level, int) else status.level[0]
            self._say(topic, f"{status.name}: {status.message}", LEVELS[min(level, 3)], about=status.name)

    def _say(self, topic: str, text: str, level: str, about: str = "") -> None:
        """Add a line of text, unless it was the last one about the same."""
        if self._said.get((topic, about)) != text:
            self._said[topic, about] = text
            self._viewer.text(topic, text, level)


KINDS: dict[str, Callable[[Messages, str, Any], None]] = {
    "sensor_msgs/msg/PointCloud2": Messages._cloud,
    "vision_msgs/msg/Detection3DArray": Messages._objects,
    "vision_msgs/msg/LabelInfo": Messages._label_info,
    "tf2_msgs/msg/TFMessage": Messages._transforms,
    "sensor_msgs/msg/CameraInfo": Messages._calibration,
    "sensor_msgs/msg/CompressedImage": Messages._compressed_image,
    "sensor_msgs/msg/Image": Messages._image,
    "perception_interfaces/msg/FrameTimings": Messages._timings,
    "diagnostic_msgs/msg/DiagnosticArray": Messages._diagnostics,
}


def wanted(types: Mapping[str, str], patterns: Iterable[str]) -> list[str]:
    """Choose the topics to show.

    Args:
        types: of each topic.
        patterns: as in a shell (`/camera/*`); none: all that can be shown, but no copies.
    """
    shown = {topic: kind for topic, kind in types.items() if kind in KINDS}
    chosen = [topic for topic in shown if any(fnmatchcase(topic, pattern) for pattern in patterns)]
    if not patterns:
        chosen = [topic for topic in shown if not any(fnmatchcase(topic, pattern) for pattern in COPIES)]
    return sorted({*chosen, *(topic for topic, kind in shown.items() if kind in SETTINGS)})


def is_lasting(topic: str, message_type: str) -> bool:
    """Whether a message holds for all that comes later, and is needed though it came before the part that is shown."""
    return message_type in SETTINGS and (message_type != TRANSFORMS or topic.endswith("tf_static"))


def camera_of(topic: str) -> str:
    """The camera of `<camera>/camera_info`, `<camera>/image_raw`, `<camera>/image/compressed` and the like."""
    return topic.removesuffix("/compressed").rpartition("/")[0] or "/camera"
