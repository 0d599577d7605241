"""Everything the segmentation node publishes."""

from __future__ import annotations

from typing import Any

import numpy as np
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Float64, Header
from vision_msgs.msg import LabelInfo, VisionClass

from perception.bundle.format import BundleDescription
from perception.nodes.palettes import colors_of
from perception.ros.cloud_encoding import encode_filtered, encode_segmentation, encode_visualization
from perception.ros.parameters import NodeParameters
from perception.ros.point_clouds import DecodedCloud
from perception.ros.quality_of_service import LATCHED_QOS, RESULT_QOS
from perception.types import LabelledCloud
from perception_interfaces.msg import FrameTimings, StageTiming

CLOUDS = ("segmentation", "visualization", "filtered")
TIMES_MS = ("cyclic_time_ms", "processing_time_ms", "pipeline_latency_ms")


class SegmentationOutputs:
    """The publishers, and what each of them encodes.

    Args:
        node: the node whose publishers they are.
        parameters: its parameters; palette and filter are read for every frame.
    """

    def __init__(self, node: LifecycleNode, parameters: NodeParameters) -> None:
        self._node = node
        self._parameters = parameters
        self._clouds = {
            name: node.create_lifecycle_publisher(PointCloud2, f"~/output/pointcloud/{name}", RESULT_QOS)
            for name in CLOUDS
        }
        self._times = {
            name: node.create_lifecycle_publisher(Float64, f"~/debug/{name}", RESULT_QOS) for name in TIMES_MS
        }
        self._timings = node.create_lifecycle_publisher(FrameTimings, "~/debug/timings", RESULT_QOS)
        self._label_info = node.create_publisher(LabelInfo, "~/label_info", LATCHED_QOS)

    def close(self) -> None:
        """Leave the topics."""
        for publisher in (*self._clouds.values(), *self._times.values(), self._timings):
            self._node.destroy_lifecycle_publisher(publisher)
        self._node.destroy_publisher(self._label_info)

    def wanted(self) -> tuple[str, ...]:
        """The clouds that somebody subscribes to."""
        return tuple(name for name, publisher in self._clouds.items() if publisher.get_subscription_count())

    def are_wanted(self) -> bool:
        """Whether anybody subscribes to a cloud or to a frame's times."""
        publishers = (*self._clouds.values(), self._timings, *self._times.values())
        return any(publisher.get_subscription_count() for publisher in publishers)

    def publish_label_info(self, description: BundleDescription) -> None:
        """Say which name belongs to which class id; late subscribers get it too."""
        info = LabelInfo()
        info.header.stamp = self._node.get_clock().now().to_msg()
        info.class_map = [VisionClass(class_id=i, class_name=name) for i, name in enumerate(description.classes)]
        self._label_info.publish(info)

    def encode(
        self, name: str, message: PointCloud2, decoded: DecodedCloud, result: LabelledCloud, bundle: BundleDescription
    ) -> PointCloud2:
        """Make one of CLOUDS from a result that has a row for every point of the message."""
        height = max(decoded.layout.height, 1)
        if name == "segmentation":
            columns = (decoded.coordinates, result.class_ids, result.probabilities)
            return encode_segmentation(message.header, *columns, height=height)
        if name == "visualization":
            colors = colors_of(result, self._parameters["palette"], bundle.colors)
            return encode_visualization(message.header, decoded.coordinates, colors, height=height)
        return encode_filtered(message, decoded.layout, self._kept(result, bundle))

    def _kept(self, result: LabelledCloud, bundle: BundleDescription) -> Any:
        is_filtered = np.zeros(256, bool)
        for name in self._parameters.names("filtered_classes"):
            if name in bundle.classes:
                is_filtered[bundle.classes.index(name)] = True
        sure = result.probabilities >= self._parameters["filter_min_probability"]
        return ~(is_filtered[result.class_ids] & sure)

    def publish_clouds(self, clouds: dict[str, PointCloud2]) -> None:
        """Publish encoded clouds."""
        for name, cloud in clouds.items():
            self._clouds[name].publish(cloud)

    def publish_times(self, **times_ms: float | None) -> None:
        """Publish those of TIMES_MS that are known."""
        for name, value in times_ms.items():
            if value is not None:
                self._times[name].publish(Float64(data=value))

    def publish_timings(
        self, header: Header, node_ms: dict[str, float], network_ms: dict[str, float], total_ms: float
    ) -> None:
        """Publish every stage of one frame, in the order they ran.

        Args:
            header: the input's.
            node_ms: stages of the node, among them `inference`, the whole network.
            network_ms: stages within the network; they appear as `network.<stage>` after `inference`.
            total_ms: from receipt to the end of publication.
        """
        timings = FrameTimings(header=header, total_ms=total_ms, inference_ms=node_ms["inference"])
        stages: dict[str, float] = {}
        for name, duration_ms in node_ms.items():
            stages[name] = duration_ms
            if name == "inference":
                stages.update({f"network.{stage}": value for stage, value in network_ms.items()})
        timings.stages = [StageTiming(name=name, duration_ms=value) for name, value in stages.items()]
        self._timings.publish(timings)
