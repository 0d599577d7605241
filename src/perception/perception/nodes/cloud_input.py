"""Clouds on their way from the middleware to a node's worker: subscribed to, counted, the newest handed over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.time import Time
from sensor_msgs.msg import PointCloud2

from perception.nodes.mailbox import Worker
from perception.ros.node_base import ManagedNode
from perception.ros.quality_of_service import sensor_qos

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

    def age_ms(self, now_s: float) -> float:
        """Since the middleware received it; `now_s` as of perf_counter."""
        return self.receive_ms + (now_s - self.callback_s) * 1e3


class CloudInput:
    """The subscription, and the thread in which clouds are handled.

    Args:
        node: whose input it is; its statistics count, and its parameters say what is subscribed to.
        is_wanted: whether anybody wants results just now.
        handle: called in the thread; it must not raise.
        drop: called with a cloud that will not be handled, and the reason.
    """

    def __init__(
        self,
        node: ManagedNode,
        is_wanted: Callable[[], bool],
        handle: Callable[[Received], None],
        drop: Callable[[Received, str], None],
    ) -> None:
        self._node = node
        self._is_wanted = is_wanted
        self._handle = handle
        self._drop = drop
        self._worker: Worker[Received] | None = None
        self._subscription: Any = None
        self._worker_free_s = 0.0

    def start(self) -> None:
        """Start the thread."""
        self._worker = Worker(self._work, f"{self._node.get_name()} worker")

    def subscribe(self) -> None:
        """Begin to receive."""
        self._subscription = self._node.create_subscription(
            PointCloud2,
            INPUT,
            self._on_cloud,
            sensor_qos(self._node.parameters["input_reliability"]),
            callback_group=MutuallyExclusiveCallbackGroup(),
            event_callbacks=SubscriptionEventCallbacks(message_lost=self._on_message_lost),
        )

    def unsubscribe(self) -> None:
        """Receive no more, and finish the cloud that is being handled."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
        if self._worker is not None and (waiting := self._worker.drain()) is not None:
            self._drop(waiting, "deactivated")

    def stop(self) -> None:
        """End the thread."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def stages_before(self, received: Received, started_s: float) -> dict[str, float]:
        """Stages before the worker starts; `wait` is the time for which the cloud before kept it busy."""
        free_s = max(received.callback_s, self._worker_free_s)
        return {
            "receive": received.receive_ms,
            "wait": (free_s - received.callback_s) * 1e3,
            "hand_over": (started_s - free_s) * 1e3,
        }

    def _on_cloud(self, message: PointCloud2, info: Any) -> None:
        callback_s, now_ns = time.perf_counter(), time.time_ns()
        cyclic_ms = self._node.statistics.on_received(Time.from_msg(message.header.stamp).nanoseconds)
        receive_ms = max(0.0, (now_ns - (info["received_timestamp"] or now_ns)) * 1e-6)
        received = Received(message, callback_s, receive_ms, cyclic_ms)
        if self._worker is None:
            self._drop(received, "deactivated")
        elif not (self._node.parameters["always_run"] or self._is_wanted()):
            self._drop(received, "no_subscriber")
        elif (older := self._worker.put(received)) is not None:
            self._drop(older, "superseded")

    def _on_message_lost(self, event: Any) -> None:
        self._node.statistics.add("messages_lost", event.total_count_change)

    def _work(self, received: Received) -> None:
        self._handle(received)
        self._worker_free_s = time.perf_counter()
