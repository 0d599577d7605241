"""The segmentation node: a class for every point of every cloud.

In: `~/input/pointcloud`. Out: `~/output/pointcloud/{segmentation,visualization,filtered}`, `~/label_info`,
`~/debug/*`, /diagnostics. Service: `~/load_bundle`.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.time import Time
from sensor_msgs.msg import PointCloud2

from perception.bundle.format import BundleDescription
from perception.configuration import ConfigurationError
from perception.nodes.bundle_service import BundleService
from perception.nodes.engine_slot import EngineSlot, EngineStarter, describe_error
from perception.nodes.executables import run_nodes
from perception.nodes.mailbox import Worker
from perception.nodes.segmentation_outputs import SegmentationOutputs
from perception.ros.device_status import device_statuses, read_device
from perception.ros.diagnostics import Limits, frames_status, processing_status
from perception.ros.node_base import ManagedNode
from perception.ros.parameter_tables import SEGMENTATION
from perception.ros.point_clouds import CloudSettings, DecodedCloud, decode_point_cloud
from perception.ros.point_layout import CloudError
from perception.ros.quality_of_service import sensor_qos
from perception.runtime import StageTimer, start_engine
from perception.types import Frame

INPUT = "~/input/pointcloud"


@dataclass(frozen=True)
class Received:
    """A message on its way to the worker.

    Attributes:
        message: the cloud.
        callback_s: perf_counter when the executor handed it over.
        receive_ms: from the middleware's time stamp of receipt until then.
        cyclic_ms: since the message before, None for the first.
    """

    message: PointCloud2
    callback_s: float
    receive_ms: float
    cyclic_ms: float | None


class SegmentationNode(ManagedNode):
    """Labels clouds with the bundle's network.

    Args:
        name: the node's name.
        start: `start_engine`, or a stand-in for tests.
        arguments: passed on to LifecycleNode.
    """

    def __init__(self, name: str = "segmentation", start: EngineStarter = start_engine, **arguments: Any) -> None:
        super().__init__(name, SEGMENTATION, **arguments)
        self._engine = EngineSlot(start, self.get_logger())
        self._bundle = BundleService(self, self._engine, self._announce)
        self._outputs: SegmentationOutputs | None = None
        self._worker: Worker[Received] | None = None
        self._subscription: Any = None
        self._worker_free_s = 0.0

    # --- life cycle

    def configure(self) -> None:
        """Load the bundle, create the publishers, start the worker."""
        description = self._bundle.configure()
        outputs = SegmentationOutputs(self, self.parameters)
        outputs.publish_label_info(description)
        self._outputs = outputs
        self._worker = Worker(self._process, f"{self.get_name()} worker")

    def activate(self) -> None:
        """Subscribe to clouds."""
        self._subscription = self.create_subscription(
            PointCloud2,
            INPUT,
            self._on_cloud,
            sensor_qos(self.parameters["input_reliability"]),
            callback_group=MutuallyExclusiveCallbackGroup(),
            event_callbacks=SubscriptionEventCallbacks(message_lost=self._on_message_lost),
        )

    def deactivate(self) -> None:
        """Unsubscribe, and finish the frame that is being processed."""
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None
        if self._worker is not None and self._worker.drain():
            self.statistics.on_dropped("deactivated")

    def cleanup(self) -> None:
        """Stop the worker, leave the topics, free the network."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None
        # In this order: a swap that is under way finds either the publishers whole, or that there are none.
        outputs, self._outputs = self._outputs, None
        self._engine.close()
        if outputs is not None:
            outputs.close()

    def _announce(self, description: BundleDescription) -> None:
        """Say what the labels mean from the next frame on."""
        if self._outputs is None:
            raise ConfigurationError("the node was cleaned up while the bundle was loading")
        self._outputs.publish_label_info(description)

    # --- frames

    def _on_cloud(self, message: PointCloud2, info: Any) -> None:
        callback_s, now_ns = time.perf_counter(), time.time_ns()
        cyclic_ms = self.statistics.on_received(Time.from_msg(message.header.stamp).nanoseconds)
        outputs, worker = self._outputs, self._worker
        if outputs is None or worker is None:
            self.statistics.on_dropped("deactivated")
        elif not (self.parameters["always_run"] or outputs.are_wanted()):
            self.statistics.on_dropped("no_subscriber")
        else:
            receive_ms = max(0.0, (now_ns - (info["received_timestamp"] or now_ns)) * 1e-6)
            if worker.put(Received(message, callback_s, receive_ms, cyclic_ms)):
                self.statistics.on_dropped("superseded")

    def _on_message_lost(self, event: Any) -> None:
        self.statistics.add("messages_lost", event.total_count_change)

    def _process(self, received: Received) -> None:
        """Handle one message in the worker; whatever happens, the node lives on and the frame is counted."""
        assert self._outputs is not None
        try:
            self._label(received, self._outputs)
        except CloudError as error:
            self._drop(f"malformed.{error.reason}", str(error))
        except Exception as error:
            self._drop("processing_failed", describe_error(error))
        finally:
            self._worker_free_s = time.perf_counter()

    def _label(self, received: Received, outputs: SegmentationOutputs) -> None:
        """Take one cloud all the way: decode, run the network, encode, publish."""
        message, timer, started_s = received.message, StageTimer(), time.perf_counter()
        timer.stage_ms.update(self._stages_before(received, started_s))
        with timer.stage("decode"):
            decoded = decode_point_cloud(message, self._cloud_settings())
            stamp = Time.from_msg(message.header.stamp)
            frame = Frame(decoded.cloud, stamp.nanoseconds, message.header.frame_id)
        # Until it is published: a swap announces other labels only after the last frame with the old ones.
        with self._engine.frame() as engine:
            with timer.stage("inference"):
                labelled = engine.forward(frame)
            with timer.stage("encode"):
                result = decoded.spread(labelled)
                bundle = engine.description
                clouds = {name: outputs.encode(name, message, decoded, result, bundle) for name in outputs.wanted()}
            with timer.stage("publish"):
                outputs.publish_clouds(clouds)
        finished_s = time.perf_counter()
        processing_ms = (finished_s - started_s) * 1e3
        self._count(decoded, processing_ms)
        outputs.publish_times(
            cyclic_time_ms=received.cyclic_ms,
            processing_time_ms=processing_ms,
            pipeline_latency_ms=(self.get_clock().now().nanoseconds - stamp.nanoseconds) * 1e-6,
        )
        total_ms = received.receive_ms + (finished_s - received.callback_s) * 1e3
        outputs.publish_timings(message.header, timer.stage_ms, labelled.stage_ms, total_ms)

    def _stages_before(self, received: Received, started_s: float) -> dict[str, float]:
        """Stages before the worker starts; `wait` is the time for which the frame before kept the network busy."""
        free_s = max(received.callback_s, self._worker_free_s)
        return {
            "receive": received.receive_ms,
            "wait": (free_s - received.callback_s) * 1e3,
            "hand_over": (started_s - free_s) * 1e3,
        }

    def _cloud_settings(self) -> CloudSettings:
        return CloudSettings(
            intensity_scale=self.parameters["intensity_scale"],
            intensity_if_missing=self.parameters["intensity_if_missing"],
            max_points=self.parameters["max_points"],
        )

    def _count(self, decoded: DecodedCloud, processing_ms: float) -> None:
        self.statistics.on_published(processing_ms, self.parameters["max_processing_time_ms"])
        self.statistics.on_noted(decoded.oddities)
        self.statistics.add("points.non_finite", decoded.non_finite)
        self.statistics.add("points.too_far", decoded.too_far)
        self.statistics.add("points.over_capacity", decoded.over_capacity)
        if decoded.over_capacity:
            self.warn("over_capacity", f"{decoded.over_capacity} points beyond max_points are not labelled")

    def _drop(self, reason: str, problem: str) -> None:
        self.statistics.on_dropped(reason, f"{reason}: {problem}")
        self.warn(reason, f"dropped a frame ({reason}): {problem}")

    # --- diagnostics

    def describe(self) -> tuple[dict[str, Any], list[DiagnosticStatus]]:
        """What /diagnostics says beside the life cycle."""
        name, snapshot = self.get_fully_qualified_name(), self.statistics.snapshot()
        limits = Limits(self.parameters["max_processing_time_ms"], self.parameters["max_consecutive_delay_ms"])
        description = self._engine.description
        values = {
            "bundle": self.parameters["bundle"],
            "network": "none" if description is None else description.name,
            "device": self.parameters["device"],
            "publishing": ", ".join(self._outputs.wanted() if self._outputs else ()) or "nothing: no subscriber",
        }
        topic = self.resolve_topic_name(INPUT)
        frames = frames_status(name, self.state == "active", snapshot, topic)
        device = self.parameters["device"]
        devices = device_statuses(name, device, read_device(device))
        return values, [self._bundle.status(), frames, processing_status(name, snapshot, limits), *devices]


def main() -> None:
    """Run the node in a process of its own."""
    sys.exit(run_nodes([SegmentationNode]))


if __name__ == "__main__":
    main()
