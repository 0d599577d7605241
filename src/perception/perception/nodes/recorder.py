"""Keep what a node with a network puts out, frame by frame, for whoever judges it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time

from perception.nodes.recorded import RESULTS, NodeCounts, NodeState, RecordedFrame, counts_from
from perception_interfaces.msg import FrameTimings

#: The node publishes with depth 1; a few results may wait here while this process is busy.
RECORDER_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=20, reliability=ReliabilityPolicy.RELIABLE)


class Recorder(Node):
    """Subscribes to a node's results, timings and diagnostics.

    Args:
        node: full name of the node.
        task: what it does; a key of RESULTS.
        max_frames: the newest so many frames are kept.
        name: this node's own name.
        arguments: passed on to Node.
    """

    def __init__(
        self,
        node: str,
        task: str = "segmentation",
        max_frames: int = 1000,
        name: str = "recorder",
        **arguments: Any,
    ) -> None:
        super().__init__(name, **arguments)
        self._recorded = node
        self._kind = RESULTS[task]
        self._max_frames = max_frames
        self._lock = threading.Lock()
        self._frames: OrderedDict[int, RecordedFrame] = OrderedDict()
        self._counts: NodeCounts | None = None
        self._reports = 0
        self._state = NodeState()
        results = f"{node}/output/{self._kind.topic}"
        self.create_subscription(self._kind.message_type, results, self._on_result, RECORDER_QOS)
        self.create_subscription(FrameTimings, f"{node}/debug/timings", self._on_timings, RECORDER_QOS)
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

    def _on_result(self, message: Any) -> None:
        self._update(message.header.stamp, result=self._kind.read(message))

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
            if status.name == f"{self._recorded}: state":
                with self._lock:
                    self._state = NodeState(status.message == "active", problem)
            elif status.name == f"{self._recorded}: frames":
                counts = counts_from({pair.key: pair.value for pair in status.values}, problem)
                with self._lock:
                    self._counts = counts
                    self._reports += 1


class RecorderThread:
    """A recorder that spins in a thread of its own; leaving the `with` block ends both.

    Args:
        node: full name of the node.
        task: what it does; a key of RESULTS.
        domain_id: the graph to listen to; None for the one of ROS_DOMAIN_ID.
        max_frames: the newest so many frames are kept.
    """

    def __init__(
        self, node: str, task: str = "segmentation", domain_id: int | None = None, max_frames: int = 1000
    ) -> None:
        self._context = Context()
        self._context.init(domain_id=domain_id)
        self.recorder = Recorder(node, task, max_frames, context=self._context)
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
