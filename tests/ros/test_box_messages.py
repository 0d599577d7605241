from __future__ import annotations

import math

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

from perception.data.bag_messages import decode_objects
from perception.ros.box_messages import NO_COLOR, encode_detections, encode_markers
from perception.ros.cloud_encoding import encode_velocities
from perception.types import Boxes3D

HEADER = Header(stamp=Time(sec=12, nanosec=34), frame_id="velodyne")
BOXES = Boxes3D(
    centers=np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float32),
    sizes=np.array([[4, 2, 1.5], [0.6, 0.7, 1.8], [10, 3, 3]], np.float32),
    yaws=np.array([0, math.pi / 2, -3], np.float32),
    class_names=("car", "pedestrian", "truck"),
    scores=np.array([0.9, 0.5, 0.25], np.float32),
    velocities=np.array([[10, 0], [0.1, 0.1], [np.nan, np.nan]], np.float32),
)


def test_detections_carry_what_the_boxes_say_over_the_wire() -> None:
    message = deserialize_message(serialize_message(encode_detections(HEADER, BOXES)), Detection3DArray)
    assert message.header == HEADER
    assert [detection.header for detection in message.detections] == [HEADER] * 3
    second = message.detections[1]
    center = second.bbox.center
    assert (center.position.x, center.position.y, center.position.z) == (4, 5, 6)
    assert (second.bbox.size.x, second.bbox.size.y) == pytest.approx((0.6, 0.7))
    assert 2 * math.atan2(center.orientation.z, center.orientation.w) == pytest.approx(math.pi / 2)
    (result,) = second.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ("pedestrian", 0.5)
    assert result.pose.pose == center


def test_boxes_come_back_to_the_bit_with_their_velocities() -> None:
    random = np.random.default_rng(0)
    count = 500
    boxes = Boxes3D(
        *random.uniform(-50, 50, (2, count, 3)).astype(np.float32),
        random.uniform(-math.pi, math.pi, count).astype(np.float32),
        ("car",) * count,
        random.uniform(0, 1, count).astype(np.float32),
        np.where(random.uniform(size=(count, 1)) < 0.2, np.nan, random.normal(size=(count, 2))).astype(np.float32),
    )
    back = decode_objects(encode_detections(HEADER, boxes), encode_velocities(HEADER, boxes))
    for name in ("centers", "sizes", "yaws", "scores", "velocities"):
        np.testing.assert_array_equal(getattr(back, name), getattr(boxes, name), strict=True)


def test_identifiers_are_kept() -> None:
    boxes = Boxes3D(**{**vars(BOXES), "ids": ("a", "", "c")})
    assert [one.id for one in encode_detections(HEADER, boxes).detections] == ["a", "", "c"]


def test_no_boxes_are_an_empty_message_and_delete_the_markers_before() -> None:
    none = Boxes3D(
        *(np.empty((0, 3), np.float32),) * 2, np.empty(0, np.float32), (), np.empty(0, np.float32), np.empty((0, 2))
    )
    assert encode_detections(HEADER, none).detections == []
    (marker,) = encode_markers(HEADER, none, {}).markers
    assert marker.action == Marker.DELETEALL
    assert marker.header == HEADER


def test_markers_are_boxes_names_and_arrows_of_what_moves() -> None:
    array = encode_markers(HEADER, BOXES, {"car": (255, 0, 51)}, lifetime_s=1.5)
    array = deserialize_message(serialize_message(array), MarkerArray)
    assert array.markers[0].action == Marker.DELETEALL
    by_place = {(marker.ns, marker.id): marker for marker in array.markers[1:]}
    assert set(by_place) == {(name, index) for name in ("boxes", "names") for index in range(3)} | {("velocities", 0)}
    box, arrow = by_place["boxes", 0], by_place["velocities", 0]
    assert (box.color.r, box.color.g, box.color.b) == pytest.approx((1.0, 0.0, 0.2))
    assert (box.scale.x, box.scale.y, box.scale.z) == (4, 2, 1.5)
    assert (arrow.points[1].x, arrow.points[1].y, arrow.points[1].z) == (11, 2, 3)
    assert by_place["names", 1].text == "pedestrian 0.50"
    assert by_place["boxes", 2].color.r == pytest.approx(NO_COLOR[0] / 255)
    assert (box.lifetime.sec, box.lifetime.nanosec) == (1, 500_000_000)
