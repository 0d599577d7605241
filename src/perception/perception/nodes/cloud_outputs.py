"""What every node that gives clouds to a network publishes beside its results: times, and what class ids mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Float64, Header
from vision_msgs.msg import LabelInfo, VisionClass

from perception.bundle.format import CommonDescription
from perception.data.point_clouds import DecodedCloud
from perception.ros.diagnostics import WARN, status
from perception.ros.quality_of_service import EVENT_QOS, LATCHED_QOS, RESULT_QOS
from perception_interfaces.msg import FrameTimings, StageTiming

TIMES_MS = ("cyclic_time_ms", "processing_time_ms", "pipeline_latency_ms")


class CloudOutputs:
    """The publishers; a subclass says which results there are, and encodes them.

    Args:
        node: the node whose publishers they are.
        results: name -> type and topic of each result.
    """

    def __init__(self, node: LifecycleNode, results: Mapping[str, tuple[type, str]]) -> None:
        self._node = node
        self._results: dict[str, Any] = {
            name: node.create_lifecycle_publisher(kind, topic, RESULT_QOS) for name, (kind, topic) in results.items()
        }
        self._times = {
            name: node.create_lifecycle_publisher(Float64, f"~/debug/{name}", RESULT_QOS) for name in TIMES_MS
        }
        self._timings = node.create_lifecycle_publisher(FrameTimings, "~/debug/timings", RESULT_QOS)
        self._drops = node.create_lifecycle_publisher(DiagnosticArray, "~/debug/drops", EVENT_QOS)
        self._label_info = node.create_publisher(LabelInfo, "~/label_info", LATCHED_QOS)

    def encode(
        self, message: PointCloud2, decoded: DecodedCloud, result: Any, bundle: CommonDescription
    ) -> dict[str, Any]:
        """Make a message of each result that is wanted.

        Args:
            message: the cloud.
            decoded: the same, as the network got it.
            result: of the network.
            bundle: the network's description.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Leave the topics."""
        for publisher in (*self._results.values(), *self._times.values(), self._timings, self._drops):
            self._node.destroy_lifecycle_publisher(publisher)
        self._node.destroy_publisher(self._label_info)

    def wanted(self) -> tuple[str, ...]:
        """The results that somebody subscribes to."""
        return tuple(name for name, publisher in self._results.items() if publisher.get_subscription_count())

    def are_wanted(self) -> bool:
        """Whether anybody subscribes to a result or to a frame's times."""
        publishers = (*self._results.values(), self._timings, *self._times.values())
        return any(publisher.get_subscription_count() for publisher in publishers)

    def publish_label_info(self, description: CommonDescription) -> None:
        """Say which name belongs to which class id; late subscribers get it too."""
        info = LabelInfo()
        info.header.stamp = self._node.get_clock().now().to_msg()
        info.class_map = [VisionClass(class_id=i, class_name=name) for i, name in enumerate(description.classes)]
        self._label_info.publish(info)

    def publish(self, messages: Mapping[str, Any]) -> None:
        """Publish encoded results."""
        for name, message in messages.items():
            self._results[name].publish(message)

    def publish_times(self, **times_ms: float | None) -> None:
        """Publish those of TIMES_MS that are known."""
        for name, value in times_ms.items():
            if value is not None:
                self._times[name].publish(Float64(data=value))

    def publish_drop(self, header: Header, reason: str, problem: str, age_ms: float) -> None:
        """Say that a cloud gives no result.

        Args:
            header: the cloud's.
            reason: the word under which it is counted.
            problem: what went wrong; empty where that is how it should be.
            age_ms: since the middleware received it.
        """
        if self._drops.get_subscription_count():
            name = f"{self._node.get_fully_qualified_name()}: drop"
            dropped = status(name, WARN, reason, {"age_ms": age_ms, "problem": problem})
            self._drops.publish(DiagnosticArray(header=header, status=[dropped]))

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
