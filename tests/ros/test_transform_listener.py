"""Transforms as they come over the wire."""

from __future__ import annotations

import pytest
from geometry_msgs.msg import TransformStamped
from processes import wait_until
from support import LATCHED
from tf2_msgs.msg import TFMessage

from perception.data.transforms import TransformError
from perception.ros.transform_listener import TransformListener

SECOND = 1_000_000_000


@pytest.mark.ros
def test_the_listener_hears_tf_and_latched_tf_static(graph):
    static = graph.publisher(TFMessage, "/tf_static", LATCHED, subscribers=0)
    moving = graph.publisher(TFMessage, "/tf", subscribers=0)

    def transform(parent, child, seconds, x):
        stamped = TransformStamped(child_frame_id=child)
        stamped.header.frame_id, stamped.header.stamp.sec = parent, seconds
        stamped.transform.translation.x, stamped.transform.rotation.w = x, 1.0
        return stamped

    static.publish(TFMessage(transforms=[transform("base", "lidar", 0, 1.0)]))
    listener = TransformListener(graph.node)
    wait_until(lambda: moving.get_subscription_count(), "the listener")
    broken = transform("odom", "nowhere", 1, 0.0)
    broken.transform.rotation.w = 0.0
    moving.publish(
        TFMessage(transforms=[broken, transform("odom", "base", 10, 0.0), transform("odom", "base", 20, 5.0)])
    )

    def found():
        try:
            return listener.lookup("odom", "lidar", 12 * SECOND)
        except TransformError:
            return None

    wait_until(lambda: found() is not None, "odom from lidar")
    assert found()[0, 3] == pytest.approx(2.0)
    listener.close()
    wait_until(lambda: not moving.get_subscription_count() + static.get_subscription_count(), "the listener to leave")
