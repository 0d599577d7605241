"""The results of the detection node: objects, their velocities, and markers to look at them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.time import Time
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from perception.bundle.format import CommonDescription
from perception.data.boxes import chosen, moved, sound
from perception.data.point_clouds import DecodedCloud
from perception.nodes.box_filter import BoxFilter
from perception.nodes.cloud_outputs import CloudOutputs
from perception.nodes.palettes import class_colors
from perception.ros.box_messages import encode_detections, encode_markers
from perception.ros.class_scores import class_scores
from perception.ros.cloud_encoding import encode_velocities
from perception.ros.node_base import ManagedNode
from perception.types import Boxes3D, DetectedObjects

OBJECTS, VELOCITIES, MARKERS = "objects", "velocities", "markers"


class DetectionOutputs(CloudOutputs):
    """Detection3DArray, the velocities for which it has no field, and MarkerArray.

    Args:
        node: the node whose publishers they are; its parameters are read for every frame, its statistics count.
        find_transform: target and source frame, stamp (ns) -> target_from_source, float64 [4, 4]; raises
            TransformError.
    """

    def __init__(self, node: ManagedNode, find_transform: Callable[[str, str, int], NDArray[np.float64]]) -> None:
        results: dict[str, tuple[type, str]] = {
            OBJECTS: (Detection3DArray, f"~/output/{OBJECTS}"),
            VELOCITIES: (PointCloud2, f"~/output/{VELOCITIES}"),
            MARKERS: (MarkerArray, f"~/output/{MARKERS}"),
        }
        super().__init__(node, results)
        self._statistics = node.statistics
        self._parameters = node.parameters
        self._find_transform = find_transform

    def encode(
        self, message: PointCloud2, decoded: DecodedCloud, result: DetectedObjects, bundle: CommonDescription
    ) -> dict[str, Any]:
        """Make the wanted results of the objects that pass the filters.

        Raises:
            TransformError: the frame in which they are to be published is not known.
        """
        boxes = self._filter().apply(self._sound(result.boxes))
        header, boxes = self._in_output_frame(message.header, boxes)
        self._statistics.add("objects", len(boxes))
        messages: dict[str, Any] = {}
        wanted = self.wanted()
        if OBJECTS in wanted:
            messages[OBJECTS] = encode_detections(header, boxes)
        if VELOCITIES in wanted:
            messages[VELOCITIES] = encode_velocities(header, boxes)
        if MARKERS in wanted:
            colors = class_colors(self._parameters["palette"], bundle)
            messages[MARKERS] = encode_markers(header, boxes, colors, self._parameters["marker_lifetime_s"])
        return messages

    def _sound(self, boxes: Boxes3D) -> Boxes3D:
        is_sound = sound(boxes)
        unsound = len(boxes) - int(np.count_nonzero(is_sound))
        self._statistics.add("objects.unsound", unsound)
        return chosen(boxes, is_sound) if unsound else boxes

    def _filter(self) -> BoxFilter:
        return BoxFilter(
            classes=self._parameters.names("classes"),
            min_score=self._parameters["min_score"],
            class_min_scores=class_scores(self._parameters.names("class_min_scores")),
            max_range_m=self._parameters["max_range_m"],
        )

    def _in_output_frame(self, header: Header, boxes: Boxes3D) -> tuple[Header, Boxes3D]:
        target = self._parameters["output_frame"] or header.frame_id
        if target == header.frame_id:
            return header, boxes
        target_from_cloud = self._find_transform(target, header.frame_id, Time.from_msg(header.stamp).nanoseconds)
        return Header(stamp=header.stamp, frame_id=target), moved(
            boxes, target_from_cloud[:3, :3], target_from_cloud[:3, 3]
        )
