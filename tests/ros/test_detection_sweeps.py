"""Networks of several sweeps: past clouds seen through tf, over the wire."""

from __future__ import annotations

import time

import numpy as np
import pytest
from clouds import stamped
from detection import FRAMES, NODE, connect, place_of, start_stub
from geometry_msgs.msg import TransformStamped
from processes import wait_until
from rosgraph_msgs.msg import Clock
from support import LATCHED
from tf2_msgs.msg import TFMessage

from perception.ros.patient_transforms import RESIGNED_S
from perception_interfaces.srv import LoadBundle

pytestmark = pytest.mark.ros

#: Where a wall stands in odom; the LiDAR is 2 m above base_link, which drives 10 m/s along x.
WALL = np.array([20.0, 3.0, 1.0])
SPEED_M_S, LIDAR_M = 10.0, 2.0


class Vehicle:
    """Publishes the vehicle's transforms and what its LiDAR sees of the wall."""

    def __init__(self, graph, cloud_publisher) -> None:
        self.graph = graph
        self.clouds = cloud_publisher
        self.moving = graph.publisher(TFMessage, "/tf", subscribers=0)
        self.static = graph.publisher(TFMessage, "/tf_static", LATCHED, subscribers=0)
        self.sent = 0
        self.say_where_the_lidar_is()

    def say_where_the_lidar_is(self) -> None:
        mount = TransformStamped(child_frame_id="lidar")
        mount.header.frame_id, mount.transform.translation.z = "base_link", LIDAR_M
        self.static.publish(TFMessage(transforms=[mount]))

    def look_around(self, wait_for_the_end) -> None:
        """Show a first cloud: the node listens to transforms from then on, and will have missed the one it needs."""
        self.see(1000)
        wait_until(self.moving.get_subscription_count, "the node to listen to /tf")
        wait_until(self.static.get_subscription_count, "the node to listen to /tf_static")
        wait_for_the_end()
        self.wait_out_a_miss()

    @staticmethod
    def wait_out_a_miss() -> None:
        """After a wait in vain the node does not wait for transforms for a while, and messages may overtake them."""
        time.sleep(RESIGNED_S + 0.1)

    def move(self, stamp_ms: int) -> None:
        """Say where the vehicle is at a time."""
        pose = TransformStamped(child_frame_id="base_link")
        pose.header.frame_id = "odom"
        pose.header.stamp.sec, pose.header.stamp.nanosec = stamp_ms // 1000, stamp_ms % 1000 * 1_000_000
        pose.transform.translation.x = SPEED_M_S * stamp_ms * 1e-3
        self.moving.publish(TFMessage(transforms=[pose]))

    def see(self, stamp_ms: int, offset_m: float = 0.0) -> None:
        """Publish a cloud of one point, on the wall or beside it."""
        xyz = WALL - (SPEED_M_S * stamp_ms * 1e-3, offset_m, LIDAR_M)
        self.clouds.publish(stamped(np.array([[*xyz, 0.5]], np.float32), stamp_ms // 1000, stamp_ms % 1000 * 1_000_000))
        self.sent += 1

    def drive(self, outputs, *stamps_ms: int) -> list:
        """Move and see at each time, and give what came out of the last."""
        for stamp_ms in stamps_ms:
            self.move(stamp_ms)
            self.see(stamp_ms)
            outputs["objects"].wait_for(self.sent)
        return outputs["objects"].messages[-1].detections[:-1]


@pytest.fixture
def vehicle(graph, tmp_path):
    """A vehicle whose node takes three sweeps and listens to tf; and its outputs, after a first cloud long ago."""
    with start_stub(tmp_path, bundle="sweeps3", max_transform_wait_ms=500.0):
        publisher, outputs = connect(graph)
        vehicle = Vehicle(graph, publisher)
        vehicle.look_around(lambda: outputs["objects"].wait_for(1))
        yield vehicle, outputs


def lags_ms(boxes) -> list[int]:
    """The lag of each sweep's box, see FakeDetector."""
    return [round((box.bbox.size.y - 1) * 1e3) for box in boxes]


def test_past_sweeps_are_seen_from_where_the_newest_was_measured(graph, vehicle):
    vehicle, outputs = vehicle
    boxes = vehicle.drive(outputs, 2000, 2100, 2200, 2300)
    assert lags_ms(boxes) == [0, 100, 200]
    for box in boxes:
        np.testing.assert_allclose(place_of(box), WALL - (23.0, 0, LIDAR_M), atol=1e-4)
    graph.wait_for_diagnostic(FRAMES, "out", "5")
    assert graph.diagnostic_values(FRAMES)["sweeps.no_transform"] == "0"
    assert graph.diagnostic_values(FRAMES)["sweeps"] == str(1 + 1 + 2 + 3 + 3)


def test_without_a_transform_the_frame_goes_on_alone_counted_and_warned_of(graph, vehicle, tmp_path):
    vehicle, outputs = vehicle
    vehicle.drive(outputs, 2000)
    vehicle.see(2100)  # nobody says where
    outputs["objects"].wait_for(vehicle.sent)
    assert lags_ms(outputs["objects"].messages[-1].detections[:-1]) == [0]
    graph.wait_for_diagnostic(FRAMES, "sweeps.no_transform", "1")
    log = (tmp_path / "node.log").read_text()
    assert log.count("left out 1 past sweeps: 2.100 s is 0.100 s newer than anything known about 'base_link'") == 1
    assert graph.diagnostic_values(FRAMES)["dropped"] == "0"
    vehicle.wait_out_a_miss()
    # What was not known then is known now, in between.
    assert lags_ms(vehicle.drive(outputs, 2200)) == [0, 100, 200]


def test_no_transforms_at_all(graph, tmp_path):
    with start_stub(tmp_path, bundle="sweeps2", fixed_frame="map"):
        publisher, outputs = connect(graph)
        for number in range(1, 5):
            publisher.publish(stamped(np.ones((10, 4), np.float32), 10, number * 100_000_000))
            message = outputs["objects"].wait_for(number)[-1]
            assert lags_ms(message.detections[:-1]) == [0]
        graph.wait_for_diagnostic(FRAMES, "sweeps.no_transform", "3")
        graph.wait_for_diagnostic(FRAMES, "out", "4")
        log = (tmp_path / "node.log").read_text()
    assert log.count("left out 1 past sweeps") == 1
    assert "nothing is known about 'map' and 'lidar'" in log


def test_a_looped_bag_begins_anew_and_no_future_sweep_is_used(graph, vehicle):
    vehicle, outputs = vehicle
    assert lags_ms(vehicle.drive(outputs, 5000, 5100, 5200)) == [0, 100, 200]
    assert lags_ms(vehicle.drive(outputs, 2000)) == [0]
    vehicle.wait_out_a_miss()
    vehicle.move(2000)
    assert lags_ms(vehicle.drive(outputs, 2100)) == [0, 100]
    boxes = vehicle.drive(outputs, 2200)
    assert lags_ms(boxes) == [0, 100, 200]
    for box in boxes:
        np.testing.assert_allclose(place_of(box), WALL - (22.0, 0, LIDAR_M), atol=1e-4)


def test_a_gap_in_time_is_not_bridged(vehicle):
    vehicle, outputs = vehicle
    assert lags_ms(vehicle.drive(outputs, 2000, 2100)) == [0, 100]
    assert lags_ms(vehicle.drive(outputs, 2700)) == [0]
    assert lags_ms(vehicle.drive(outputs, 2800)) == [0, 100]


def test_another_network_takes_other_sweeps_and_features(graph, vehicle):
    vehicle, outputs = vehicle
    assert lags_ms(vehicle.drive(outputs, 2000, 2100, 2200)) == [0, 100, 200]
    for bundle, lags in (("sweeps2", [0, 100]), ("sweeps3", [0, 100, 200])):
        assert graph.call(LoadBundle, f"{NODE}/load_bundle", LoadBundle.Request(bundle=bundle)).success
        start_ms = 3000 if bundle == "sweeps2" else 4000
        assert lags_ms(vehicle.drive(outputs, start_ms)) == [0]
        assert lags_ms(vehicle.drive(outputs, start_ms + 100, start_ms + 200)) == lags


def test_simulated_time_that_is_reset_empties_the_history(graph, tmp_path):
    with start_stub(tmp_path, bundle="sweeps3", use_sim_time=True, max_transform_wait_ms=500.0):
        publisher, outputs = connect(graph)
        clock = graph.publisher(Clock, "/clock")
        vehicle = Vehicle(graph, publisher)

        def at(seconds):
            message = Clock()
            message.clock.sec = seconds
            clock.publish(message)
            wait_until(lambda: graph.diagnostics_stamp_s("/detection: state") == seconds, f"the node at {seconds} s")

        at(50)
        vehicle.look_around(lambda: outputs["objects"].wait_for(1))
        assert lags_ms(vehicle.drive(outputs, 2000, 2100)) == [0, 100]
        at(3)
        # Stamps go on as if nothing had happened, but what was before belongs to another time.
        assert lags_ms(vehicle.drive(outputs, 2200)) == [0]
        assert lags_ms(vehicle.drive(outputs, 2300)) == [0, 100]


def test_objects_in_another_frame(graph, tmp_path):
    with start_stub(tmp_path, output_frame="odom", max_transform_wait_ms=500.0):
        publisher, outputs = connect(graph, ("objects", "markers"))
        vehicle = Vehicle(graph, publisher)
        vehicle.look_around(lambda: graph.wait_for_diagnostic(FRAMES, "dropped.no_transform", "1"))
        vehicle.sent = 0
        (box,) = vehicle.drive(outputs, 2000)
        message = outputs["objects"].messages[-1]
        assert message.header.frame_id == box.header.frame_id == "odom"
        assert (message.header.stamp.sec, message.header.stamp.nanosec) == (2, 0)
        np.testing.assert_allclose(place_of(box), WALL, atol=1e-4)
        assert outputs["markers"].wait_for(1)[-1].markers[0].header == message.header
