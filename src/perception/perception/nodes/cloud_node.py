"""What every node has that gives clouds to a network: input, worker, bundle, counting, times, diagnostics.

In: `~/input/pointcloud`. Out: `~/label_info`, `~/debug/*`, /diagnostics. Service: `~/load_bundle`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.time import Time
from sensor_msgs.msg import PointCloud2

from perception.bundle.format import CommonDescription
from perception.configuration import ConfigurationError
from perception.data.point_clouds import CloudSettings, DecodedCloud, decode_point_cloud
from perception.data.point_layout import CloudError
from perception.data.transforms import TransformError
from perception.nodes.bundle_service import BundleService
from perception.nodes.cloud_input import INPUT, CloudInput, Received
from perception.nodes.cloud_outputs import CloudOutputs
from perception.nodes.engine_slot import EngineSlot, EngineStarter, describe_error
from perception.ros.device_status import device_statuses
from perception.ros.diagnostics import Limits, frames_status, processing_status
from perception.ros.node_base import ManagedNode
from perception.ros.parameters import ParameterRow
from perception.runtime import StageTimer
from perception.runtime.device.figures import read_device
from perception.types import Frame


class CloudNode(ManagedNode):
    """A node that runs its bundle's network on clouds; a subclass says what it publishes, and may prepare frames.

    Args:
        name: the node's name.
        table: its parameters, `perception.ros.parameter_tables.cloud_node` among them.
        start: `start_engine`, or a stand-in for tests.
        arguments: passed on to LifecycleNode.
    """

    #: What its networks do.
    TASK = ""

    def __init__(self, name: str, table: Sequence[ParameterRow], start: EngineStarter, **arguments: Any) -> None:
        super().__init__(name, table, **arguments)
        self._engine = EngineSlot(start, self.get_logger())
        self._bundle = BundleService(self, self._engine, self.TASK, self.accept, self._announce)
        self._outputs: CloudOutputs | None = None
        self._input = CloudInput(self, self._is_wanted, self._process, self._drop)

    # --- for subclasses

    def create_outputs(self) -> CloudOutputs:
        """Create the publishers."""
        raise NotImplementedError

    def accept(self, description: CommonDescription) -> None:
        """Get ready for the node's next network, or raise ConfigurationError; called between two frames."""

    def prepare(
        self, message: PointCloud2, decoded: DecodedCloud, description: CommonDescription, timer: StageTimer
    ) -> Frame:
        """Make what the network takes of a decoded cloud; called in the worker, in the order of the frames."""
        return Frame(decoded.cloud, Time.from_msg(message.header.stamp).nanoseconds, message.header.frame_id)

    # --- life cycle

    def configure(self) -> None:
        """Load the bundle, create the publishers, start the worker."""
        description = self._bundle.configure()
        outputs = self.create_outputs()
        outputs.publish_label_info(description)
        self._outputs = outputs
        self._input.start()

    def activate(self) -> None:
        """Subscribe to clouds."""
        self._input.subscribe()

    def deactivate(self) -> None:
        """Unsubscribe, and finish the frame that is being processed."""
        self._input.unsubscribe()

    def cleanup(self) -> None:
        """Stop the worker, leave the topics, free the network."""
        self._input.stop()
        # In this order: a swap that is under way finds either the publishers whole, or that there are none.
        outputs, self._outputs = self._outputs, None
        self._engine.close()
        if outputs is not None:
            outputs.close()

    def _announce(self, description: CommonDescription) -> None:
        """Say what the labels mean from the next frame on."""
        if self._outputs is None:
            raise ConfigurationError("the node was cleaned up while the bundle was loading")
        self._outputs.publish_label_info(description)

    # --- frames

    def _is_wanted(self) -> bool:
        outputs = self._outputs
        return outputs is not None and outputs.are_wanted()

    def _process(self, received: Received) -> None:
        """Handle one message in the worker; whatever happens, the node lives on and the frame is counted."""
        assert self._outputs is not None
        try:
            self._run(received, self._outputs)
        except CloudError as error:
            self._drop(received, f"malformed.{error.reason}", str(error))
        except TransformError as error:
            self._drop(received, "no_transform", str(error))
        except Exception as error:
            self._drop(received, "processing_failed", describe_error(error))

    def _run(self, received: Received, outputs: CloudOutputs) -> None:
        """Take one cloud all the way: decode, run the network, encode, publish."""
        message, timer, started_s = received.message, StageTimer(), time.perf_counter()
        timer.stage_ms.update(self._input.stages_before(received, started_s))
        with timer.stage("decode"):
            decoded = decode_point_cloud(message, self._cloud_settings())
        # Until it is published: a swap announces other labels only after the last frame with the old ones.
        with self._engine.frame() as engine:
            frame = self.prepare(message, decoded, engine.description, timer)
            with timer.stage("inference"):
                result = engine.forward(frame)
            with timer.stage("encode"):
                messages = outputs.encode(message, decoded, result, engine.description)
            with timer.stage("publish"):
                outputs.publish(messages)
        finished_s = time.perf_counter()
        processing_ms = (finished_s - started_s) * 1e3
        self._count(decoded, processing_ms)
        outputs.publish_times(
            cyclic_time_ms=received.cyclic_ms,
            processing_time_ms=processing_ms,
            pipeline_latency_ms=(self.get_clock().now() - Time.from_msg(message.header.stamp)).nanoseconds * 1e-6,
        )
        outputs.publish_timings(message.header, timer.stage_ms, result.stage_ms, received.age_ms(finished_s))

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
            self.warn("over_capacity", f"the network does not see {decoded.over_capacity} points beyond max_points")

    def _drop(self, received: Received, reason: str, problem: str = "") -> None:
        """Count a cloud that gives no result, and say so; without a `problem`, that is how it should be."""
        self.statistics.on_dropped(reason, f"{reason}: {problem}" if problem else "")
        if problem:
            self.warn(reason, f"dropped a frame ({reason}): {problem}")
        outputs = self._outputs
        if outputs is not None:
            outputs.publish_drop(received.message.header, reason, problem, received.age_ms(time.perf_counter()))

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
