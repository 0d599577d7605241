"""Keep what a segmentation node puts out, frame by frame, for whoever judges it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import PointCloud2

from perception.ros.point_layout import layout_of, require
from perception_interfaces.msg import FrameTimings

#: The node publishes with depth 1; a few results may wait here while this process is busy.
RECORDER_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=20, reliability=ReliabilityPolicy.RELIABLE)


@dataclass(frozen=True)
class RecordedFrame:
    """What came out for one input cloud; the result and its timings arrive as two messages.

    Attributes:
        stamp_ns: stamp of the input cloud, by which everything is matched.
        class_ids: uint8 [N] in the order of the input's points, None until the result arrives.
        stage_ms: milliseconds of each stage as the node reported them, empty until the timings arrive.
        total_ms: from receipt to the end of publication.
        inference_ms: the network alone.
    """

    stamp_ns: int
    class_ids: NDArray[np.uint8] | None = None
    stage_ms: Mapping[str, float] | None = None
    total_ms: float = 0.0
    inference_ms: float = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether both the result and its timings have arrived."""
        return self.class_ids is not None and self.stage_ms is not None


@dataclass(frozen=True)
class NodeCounts:
    """What a node says about its frames on /diagnostics, since it started.

    Attributes:
        received: clouds that reached the node.
        published: results that it published.
        dropped: reason -> clouds that gave no result.
        problem: the status line when something is wrong, else empty.
    """

    received: int = 0
    published: int = 0
    dropped: Mapping[str, int] | None = None
    problem: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether no cloud is on its way through the node."""
        return self.received == self.published + sum((self.dropped or {}).values())


@dataclass(frozen=True)
class NodeState:
    """What a node says about its life cycle on /diagnostics.

    Attributes:
        is_active: whether it takes clouds.
        failure: why its last transition failed, else empty.
    """

    is_active: bool = False
    failure: str = ""


class Recorder(Node):
    """Subscribes to a segmentation node's results, timings and diagnostics.

    Args:
        segmentation: full name of the segmentation node.
        max_frames: the newest so many frames are kept.
        name: this node's own name.
        arguments: passed on to Node.
    """

    def __init__(self, segmentation: str, max_frames: int = 1000, name: str = "recorder", **arguments: Any) -> None:
        super().__init__(name, **arguments)
        self._segmentation = segmentation
        self._max_frames = max_frames
        self._lock = threading.Lock()
        self._frames: OrderedDict[int, RecordedFrame] = OrderedDict()
        self._counts: NodeCounts | None = None
        self._reports = 0
        self._state = NodeState()
        results = f"{segmentation}/output/pointcloud/segmentation"
        self.create_subscription(PointCloud2, results, self._on_result, RECORDER_QOS)
        self.create_subscription(FrameTimings, f"{segmentation}/debug/timings", self._on_timings, RECORDER_QOS)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 20)

    @property
    def counts(self) -> NodeCounts | None:
        """What the node said last about its frames; None before it has said anything."""
        with self._lock:
            return self._counts

    @property
    def state(self) -> NodeState:
        """What the node said last about its life cycle."""
        with self._lock:
            return self._state

    @property
    def reports(self) -> int:
        """How many times the node has said something about its frames."""
        with self._lock:
            return self._reports

    def frames(self) -> dict[int, RecordedFrame]:
        """Everything that is kept, by stamp in nanoseconds, oldest arrival first."""
        with self._lock:
            return dict(self._frames)

    def clear(self) -> None:
        """Forget the frames, not the node's counts."""
        with self._lock:
            self._frames.clear()

    def _on_result(self, message: PointCloud2) -> None:
        layout = layout_of(message)
        require(message, layout, ("class_id",))
        # A copy: the message holds 17 bytes a point, of which one is wanted.
        self._update(message.header.stamp, class_ids=np.array(layout.field("class_id"), np.uint8))

    def _on_timings(self, message: FrameTimings) -> None:
        stage_ms = {stage.name: stage.duration_ms for stage in message.stages}
        values = {"total_ms": message.total_ms, "inference_ms": message.inference_ms}
        self._update(message.header.stamp, stage_ms=stage_ms, **values)

    def _update(self, stamp: Any, **values: Any) -> None:
        stamp_ns = Time.from_msg(stamp).nanoseconds
        with self._lock:
            frame = self._frames.get(stamp_ns, RecordedFrame(stamp_ns))
            self._frames[stamp_ns] = replace(frame, **values)
            while len(self._frames) > self._max_frames:
                self._frames.popitem(last=False)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            problem = status.message if status.level == status.ERROR else ""
            if status.name == f"{self._segmentation}: state":
                with self._lock:
                    self._state = NodeState(status.message == "active", problem)
            elif status.name == f"{self._segmentation}: frames":
                counts = _counts_from({pair.key: pair.value for pair in status.values}, problem)
                with self._lock:
                    self._counts = counts
                    self._reports += 1


def _counts_from(values: Mapping[str, str], problem: str) -> NodeCounts:
    dropped = {key.removeprefix("dropped."): int(value) for key, value in values.items() if key.startswith("dropped.")}
    return NodeCounts(int(values["in"]), int(values["out"]), dropped, problem)


class RecorderThread:
    """A recorder that spins in a thread of its own; leaving the `with` block ends both.

    Args:
        segmentation: full name of the segmentation node.
        domain_id: the graph to listen to; None for the one of ROS_DOMAIN_ID.
        max_frames: the newest so many frames are kept.
    """

    def __init__(self, segmentation: str, domain_id: int | None = None, max_frames: int = 1000) -> None:
        self._context = Context()
        self._context.init(domain_id=domain_id)
        self.recorder = Recorder(segmentation, max_frames, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.recorder)
        self._thread = threading.Thread(target=self._spin, name="recorder")

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self.recorder

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(timeout_sec=0)
        self._context.try_shutdown()
        self._thread.join()
        self.recorder.destroy_node()

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()
