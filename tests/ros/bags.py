"""Small bags for tests, written with what any machine has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

#: A type that no machine has installed.
UNKNOWN_TYPE = "vendor_msgs/msg/Secret"
STORE = get_typestore(Stores.ROS2_JAZZY)
STORE.register(get_types_from_msg("int32 value\n", UNKNOWN_TYPE))
START_NS = 1_000_000_000_000_000_000

#: topic, seconds after the start, message
Recorded = tuple[str, float, Any]


def text(value: str) -> Any:
    return STORE.types["std_msgs/msg/String"](data=value)


def secret() -> Any:
    return STORE.types[UNKNOWN_TYPE](value=7)


def stamp(time_ns: int) -> Any:
    return STORE.types["builtin_interfaces/msg/Time"](sec=time_ns // 10**9, nanosec=time_ns % 10**9)


def cloud(time_s: float, count: int = 100) -> Any:
    """A cloud with x y z intensity, stamped with the bag's time."""
    kind = STORE.types
    field = kind["sensor_msgs/msg/PointField"]
    points = np.linspace(-10, 10, 4 * count, dtype=np.float32).reshape(count, 4)
    points[:, 3] = 0.5
    return kind["sensor_msgs/msg/PointCloud2"](
        header=kind["std_msgs/msg/Header"](stamp=stamp(START_NS + round(time_s * 1e9)), frame_id="lidar"),
        height=1,
        width=count,
        fields=[
            field(name=name, offset=4 * position, datatype=7, count=1)
            for position, name in enumerate(("x", "y", "z", "intensity"))
        ],
        is_bigendian=False,
        point_step=16,
        row_step=16 * count,
        data=points.view(np.uint8).ravel(),
        is_dense=True,
    )


def transforms(child: str) -> Any:
    kind = STORE.types
    vector, quaternion = kind["geometry_msgs/msg/Vector3"], kind["geometry_msgs/msg/Quaternion"]
    transform = kind["geometry_msgs/msg/Transform"](vector(x=1.0, y=0.0, z=0.0), quaternion(x=0.0, y=0.0, z=0.0, w=1.0))
    header = kind["std_msgs/msg/Header"](stamp=stamp(START_NS), frame_id="base_link")
    stamped = kind["geometry_msgs/msg/TransformStamped"](header=header, child_frame_id=child, transform=transform)
    return kind["tf2_msgs/msg/TFMessage"](transforms=[stamped])


def best_effort(depth: int = 5, latched: bool = False) -> Qos:
    """A recorded QoS profile."""
    never = QosTime(2147483647, 4294967295)
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=depth,
        reliability=QosReliability.BEST_EFFORT,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=never,
        lifespan=never,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=never,
        avoid_ros_namespace_conventions=False,
    )


def write_bag(
    folder: Path,
    messages: Iterable[Recorded],
    storage: StoragePlugin = StoragePlugin.MCAP,
    qos: dict[str, Sequence[Qos]] | None = None,
) -> Path:
    """Write messages, in this order, as a rosbag2."""
    with Writer(folder, version=9, storage_plugin=storage) as writer:
        connections: dict[str, Any] = {}
        for topic, time_s, message in messages:
            if topic not in connections:
                offered = (qos or {}).get(topic, ())
                connections[topic] = writer.add_connection(
                    topic, message.__msgtype__, typestore=STORE, offered_qos_profiles=offered
                )
            data = STORE.serialize_cdr(message, message.__msgtype__)
            writer.write(connections[topic], START_NS + round(time_s * 1e9), data)
    return folder
