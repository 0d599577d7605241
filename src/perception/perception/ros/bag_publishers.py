"""Publishers for a bag's topics: types found by name, QoS as it was recorded."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Connection, QosReliability

from perception.ros.bag_selection import is_latched

DEFAULT_DEPTH = 10
#: A latched topic keeps what all its recorded publishers latched together, within reason.
MAX_LATCHED_DEPTH = 1000


def message_class(type_name: str) -> type | None:
    """The class of a type such as `sensor_msgs/msg/PointCloud2`, or None where its package is not installed."""
    package, kind, name = type_name.split("/")
    try:
        found: type = getattr(importlib.import_module(f"{package}.{kind}"), name)
    except (ImportError, AttributeError):
        return None
    return found


def begins_with_header(message_type: Any) -> bool:
    """Whether the first part of such messages is a std_msgs/Header."""
    return next(iter(message_type.get_fields_and_field_types().values()), "") == "std_msgs/Header"


def replay_qos(connections: Sequence[Connection]) -> QoSProfile:
    """The QoS for one topic: the strongest that any recorded publisher offered, so that every subscriber matches."""
    offered: list[Any] = [qos for connection in connections for qos in connection.ext.offered_qos_profiles]  # type: ignore[union-attr]
    reliable = not offered or any(qos.reliability != QosReliability.BEST_EFFORT for qos in offered)
    depth = max([qos.depth for qos in offered], default=DEFAULT_DEPTH) or DEFAULT_DEPTH
    latched = any(is_latched(connection) for connection in connections)
    if latched:
        depth = max(depth, min(sum(connection.msgcount for connection in connections), MAX_LATCHED_DEPTH))
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def open_publishers(node: Node, connections: Sequence[Connection]) -> tuple[dict[str, Publisher], dict[str, str]]:
    """Make a publisher for every topic whose type is installed.

    Returns:
        Publishers by topic, and the types of the topics that cannot be published.
    """
    publishers: dict[str, Publisher] = {}
    skipped: dict[str, str] = {}
    by_topic = sorted(connections, key=lambda connection: connection.topic)
    for topic, group in groupby(by_topic, key=lambda connection: connection.topic):
        recorded = list(group)
        message_type = message_class(recorded[0].msgtype)
        if message_type is None:
            skipped[topic] = recorded[0].msgtype
        else:
            publishers[topic] = node.create_publisher(message_type, topic, replay_qos(recorded))
    return publishers, skipped
