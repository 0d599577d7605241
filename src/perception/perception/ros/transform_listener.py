"""Listening to /tf and /tf_static: tf2_ros where it is installed, our own buffer elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time

from perception.data.transforms import TransformBuffer, TransformError, matrix

try:
    import tf2_ros
except ImportError:
    # Not part of the wheels on PyPI.
    tf2_ros = None

TF_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
TF_STATIC_QOS = QoSProfile(
    depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


class TransformListener:
    """Looks up transforms that a node hears of.

    Args:
        node: the node that subscribes; its executor must spin.
    """

    def __init__(self, node: Node) -> None:
        self._source = _Tf2Source(node) if tf2_ros else _OwnSource(node)

    def lookup(self, target: str, source: str, stamp_ns: int) -> NDArray[np.float64]:
        """Find target_from_source at a time, float64 [4, 4]; it does not wait.

        Raises:
            TransformError: not known (yet, or any more) at that time.
        """
        return self._source.lookup(target, source, stamp_ns)

    def clear(self) -> None:
        """Forget moving transforms, after a jump back in time."""
        self._source.clear()

    def close(self) -> None:
        """Listen no more."""
        self._source.close()


class _OwnSource:
    def __init__(self, node: Node) -> None:
        from tf2_msgs.msg import TFMessage

        self._node = node
        self._buffer = TransformBuffer()
        self.lookup, self.clear = self._buffer.lookup, self._buffer.clear
        # A group of its own, or transforms would wait for the node's other callbacks, such as a change of its state.
        group = MutuallyExclusiveCallbackGroup()
        self._subscriptions = [
            node.create_subscription(
                TFMessage,
                topic,
                lambda message, is_static=is_static: self._add(message, is_static),
                qos,
                callback_group=group,
            )
            for topic, is_static, qos in (("/tf", False, TF_QOS), ("/tf_static", True, TF_STATIC_QOS))
        ]

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _add(self, message: Any, is_static: bool) -> None:
        for stamped in message.transforms:
            moved, turned = stamped.transform.translation, stamped.transform.rotation
            try:
                self._buffer.add(
                    stamped.header.frame_id,
                    stamped.child_frame_id,
                    Time.from_msg(stamped.header.stamp).nanoseconds,
                    (moved.x, moved.y, moved.z),
                    (turned.x, turned.y, turned.z, turned.w),
                    is_static,
                )
            except ValueError as error:
                self._node.get_logger().warning(str(error), throttle_duration_sec=5.0)


class _Tf2Source:
    def __init__(self, node: Node) -> None:
        self._buffer = tf2_ros.Buffer(node=node)
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def lookup(self, target: str, source: str, stamp_ns: int) -> NDArray[np.float64]:
        try:
            found = self._buffer.lookup_transform(target, source, Time(nanoseconds=stamp_ns))
        except tf2_ros.TransformException as error:
            raise TransformError(str(error)) from None
        moved, turned = found.transform.translation, found.transform.rotation
        return matrix(np.array([moved.x, moved.y, moved.z, turned.x, turned.y, turned.z, turned.w]))

    def clear(self) -> None:
        self._buffer.clear()

    def close(self) -> None:
        self._listener.unregister()
