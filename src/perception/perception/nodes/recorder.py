"""Keep what a node with a network puts out, frame by frame, for whoever judges it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time

from perception.nodes.recorded import RESULTS, FrameParts, NodeCounts, NodeState, RecordedFrame, counts_from
from perception_interfaces.msg import FrameTimings

#: The node publishes with depth 1; a few results may wait here while this process is busy.
RECORDER_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=20, reliability=ReliabilityPolicy.RELIABLE)
#: A burst of drops may wait here.
DROPS_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=200, reliability=ReliabilityPolicy.RELIABLE)

TIMINGS = "timings"


class Recorder(Node):
    """Subscribes to a node's results, timings, drops and diagnostics.

    Args:
        node: full name of the node.
        task: what it does; a key of RESULTS.
        max_frames: the newest so many frames are kept until they are taken.
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
        #: How the statuses begin in which bring-up tells of processes.
        self._supervisor = f"{node.rpartition('/')[0]}/bringup: "
        self._kind = RESULTS[task]
        self._lock = threading.Lock()
        self._parts = FrameParts((*self._kind.topics, TIMINGS), max_frames)
        self._frames: deque[RecordedFrame] = deque(maxlen=max_frames)
        self._counts: NodeCounts | None = None
        self._reports = 0
        self._state = NodeState()
        self._death = ""
        for topic, message_type in self._kind.topics.items():
            self._listen(message_type, f"{node}/output/{topic}", partial(self._on_part, topic))
        self._listen(FrameTimings, f"{node}/debug/timings", partial(self._on_part, TIMINGS))
        self.create_subscription(DiagnosticArray, f"{node}/debug/drops", self._on_drop, DROPS_QOS)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 20)

    def _listen(self, message_type: type, topic: str, callback: Any) -> None:
        # rclpy counts the parameters of a callback to see whether it takes the message's times too.
        self.create_subscription(message_type, topic, lambda message, info: callback(message, info), RECORDER_QOS)

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
    def death(self) -> str:
        """What bring-up said when one of its processes went down, with that one's name; empty if none did."""
        with self._lock:
            return self._death

    @property
    def reports(self) -> int:
        """How many times the node has said something about its frames."""
        with self._lock:
            return self._reports

    def take(self) -> list[RecordedFrame]:
        """The frames that came out whole or were dropped since the last call, in the order of arrival."""
        with self._lock:
            frames = list(self._frames)
            self._frames.clear()
        return frames

    def take_incomplete(self) -> list[int]:
        """Stamps of the frames of which only a part has come; they are forgotten."""
        with self._lock:
            return self._parts.take_incomplete()

    def _on_part(self, name: str, message: Any, info: Mapping[str, Any]) -> None:
        stamp_ns = Time.from_msg(message.header.stamp).nanoseconds
        with self._lock:
            parts = self._parts.add(stamp_ns, name, (message, _received_ns(info)))
        if parts is not None:
            frame = self._frame(stamp_ns, parts)
            with self._lock:
                self._frames.append(frame)

    def _frame(self, stamp_ns: int, parts: Mapping[str, tuple[Any, int]]) -> RecordedFrame:
        timings, _ = parts[TIMINGS]
        results = [parts[topic] for topic in self._kind.topics]
        return RecordedFrame(
            stamp_ns,
            received_ns=max(received_ns for _, received_ns in results),
            result=self._kind.read(*(message for message, _ in results)),
            stage_ms={stage.name: stage.duration_ms for stage in timings.stages},
            total_ms=timings.total_ms,
            inference_ms=timings.inference_ms,
        )

    def _on_drop(self, message: DiagnosticArray, info: Mapping[str, Any]) -> None:
        (status,) = message.status
        values = {pair.key: pair.value for pair in status.values}
        frame = RecordedFrame(
            Time.from_msg(message.header.stamp).nanoseconds,
            _received_ns(info),
            dropped=status.message,
            problem=values["problem"],
            total_ms=float(values["age_ms"]),
        )
        with self._lock:
            self._frames.append(frame)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            problem = status.message if status.level == status.ERROR else ""
            if problem and status.name.startswith(self._supervisor):
                with self._lock:
                    self._death = f"{status.name.removeprefix(self._supervisor)}: {problem}"
            elif status.name == f"{self._recorded}: state":
                with self._lock:
                    self._state = NodeState(status.message == "active", problem)
            elif status.name == f"{self._recorded}: frames":
                counts = counts_from({pair.key: pair.value for pair in status.values}, problem)
                with self._lock:
                    self._counts = counts
                    self._reports += 1


def _received_ns(info: Mapping[str, Any]) -> int:
    """When the middleware received a message; not each one knows."""
    return int(info["received_timestamp"] or time.time_ns())


class RecorderThread:
    """A recorder that spins in a thread of its own; leaving the `with` block ends both.

    Args:
        node: full name of the node.
        task: what it does; a key of RESULTS.
        domain_id: the graph to listen to; None for the one of ROS_DOMAIN_ID.
        max_frames: the newest so many frames are kept until they are taken.
    """

    def __init__(
        self, node: str, task: str = "segmentation", domain_id: int | None = None, max_frames: int = 1000
    ) -> None:
        self._context = Context()
        self._context.init(domain_id=domain_id)
        # Recorders of several nodes differ in name, as ROS wants it.
        name = f"{node.rpartition('/')[2]}_recorder"
        self.recorder = Recorder(node, task, max_frames, name, context=self._context)
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
