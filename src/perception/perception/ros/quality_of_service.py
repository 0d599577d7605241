"""The stack's four qualities of service."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

RELIABILITIES = {"best_effort": ReliabilityPolicy.BEST_EFFORT, "reliable": ReliabilityPolicy.RELIABLE}

#: Results: reliable, and only the newest counts.
RESULT_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.RELIABLE)

#: Events, each of which counts.
EVENT_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=100, reliability=ReliabilityPolicy.RELIABLE)

#: Facts that a late subscriber still has to get.
LATCHED_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


#: Clouds that the middleware holds while the executor is held up. Only the newest is processed, but with a depth of 1
#: the middleware overwrites the others without a word (1 to 7 of 290 on a busy machine); the mailbox counts them.
SENSOR_DEPTH = 5


def sensor_qos(reliability: str) -> QoSProfile:
    """Sensor data; `reliability` is "best_effort" or "reliable"."""
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=SENSOR_DEPTH, reliability=RELIABILITIES[reliability])
