"""Topics of a running robot in a viewer."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions

from perception.configuration import ConfigurationError
from perception.data.bag_types import TRANSFORMS
from perception.evaluation.view.messages import Messages, wanted
from perception.evaluation.view.viewer import Viewer
from perception.ros.bag_publishers import message_class
from perception.ros.middleware import prepare_environment

#: How often the graph is asked for topics that are new.
LOOK_PERIOD_S = 1.0
#: For how long the executor sleeps before it looks whether it should end.
WAKE_S = 0.2
#: Transforms come in bursts from many nodes; of clouds and results, only the newest few are worth showing.
DEPTH, TRANSFORM_DEPTH = 5, 100


class TopicViewer(Node):
    """Subscribes to what can be shown, as it appears in the graph.

    Args:
        messages: shows what comes.
        patterns: of topics; none: all that can be shown.
        arguments: passed on to Node.
    """

    def __init__(self, messages: Messages, patterns: Sequence[str], **arguments: Any) -> None:
        super().__init__("perception_view", **arguments)
        self._messages, self._patterns = messages, patterns
        self._subscribed: dict[str, str] = {}
        self.create_timer(LOOK_PERIOD_S, self.look)
        self.look()

    def look(self) -> None:
        """Subscribe to topics that are new."""
        types = {topic: kinds[0] for topic, kinds in self.get_topic_names_and_types()}
        for topic in wanted(types, self._patterns):
            if topic not in self._subscribed and self.get_publishers_info_by_topic(topic):
                self._subscribe(topic, types[topic])

    def _subscribe(self, topic: str, kind: str) -> None:
        self._subscribed[topic] = kind
        message_type = message_class(kind)
        if message_type is None:
            self.get_logger().warning(f"{topic} is not shown: {kind} is not installed here")
            return
        self.create_subscription(
            message_type,
            topic,
            lambda message: self._messages.show(topic, kind, lambda: message),
            self._qos(topic, kind),
        )
        self.get_logger().info(f"showing {topic}")

    def _qos(self, topic: str, kind: str) -> QoSProfile:
        """What all publishers of a topic offer: a subscriber that asks for more is not given anything by some."""
        offered = [publisher.qos_profile for publisher in self.get_publishers_info_by_topic(topic)]
        reliable = all(qos.reliability == ReliabilityPolicy.RELIABLE for qos in offered)
        latched = all(qos.durability == DurabilityPolicy.TRANSIENT_LOCAL for qos in offered)
        return QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=TRANSFORM_DEPTH if kind == TRANSFORMS else DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )


def show_topics(viewer: Viewer, patterns: Sequence[str], color_by: str) -> int:
    """Show topics until SIGINT or SIGTERM; 0.

    Raises:
        ConfigurationError: ROS 2 does not start.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    prepare_environment()
    try:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:
        raise ConfigurationError(str(error).partition(", at /")[0]) from None
    node = TopicViewer(Messages(viewer, color_by), patterns)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while not stop.is_set():
            executor.spin_once(timeout_sec=WAKE_S)
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
        viewer.close()
    return 0
