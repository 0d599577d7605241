"""The recorder beside a real segmentation node with a stand-in for the network."""

import time
from pathlib import Path

import numpy as np
import pytest
from processes import START_TIMEOUT_S, NodeProcess, wait_until
from sensor_msgs.msg import PointCloud2, PointField
from stub_node import expected_class_ids

from perception.nodes.recorder import RecorderThread

pytestmark = pytest.mark.ros
STUB_NODE = str(Path(__file__).parent / "stub_node.py")
NODE = "/segmentation"
SECOND_NS = 1_000_000_000


def cloud(stamp_ns, points):
    """An XYZI cloud with this stamp."""
    message = PointCloud2(height=1, width=len(points), point_step=16, row_step=16 * len(points))
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, SECOND_NS)
    message.header.frame_id = "lidar"
    names = ("x", "y", "z", "intensity")
    message.fields = [PointField(name=name, offset=4 * i, datatype=7, count=1) for i, name in enumerate(names)]
    message.data = points.astype("<f4").tobytes()
    return message


@pytest.fixture
def node(tmp_path):
    parameters = {"bundle": "stub", "autostart": True, "input_reliability": "reliable"}
    with NodeProcess(STUB_NODE, tmp_path / "log", parameters) as process:
        yield process


@pytest.fixture
def send(graph):
    """Publish a cloud with this stamp whose points are above the sensor where `heights` are positive."""
    publisher = graph.publisher(PointCloud2, f"{NODE}/input/pointcloud", subscribers=0)

    def send(stamp_ns, heights):
        wait_until(publisher.get_subscription_count, "the node to subscribe", START_TIMEOUT_S)
        points = np.zeros((len(heights), 4), np.float32)
        points[:, 2] = heights
        publisher.publish(cloud(stamp_ns, points))
        return expected_class_ids(points)

    return send


def test_results_timings_and_counts_of_a_node(node, send):
    with RecorderThread(NODE) as recorder:
        wait_until(lambda: recorder.state.is_active, "the node to be active", START_TIMEOUT_S)
        expected, frames = {}, []
        for index, heights in enumerate(([1, -1, 2], [-1], [3, 3])):
            stamp_ns = (5 + index) * SECOND_NS + 123
            expected[stamp_ns] = send(stamp_ns, heights)
            frames += wait_until(recorder.take, f"the result of {stamp_ns}")
        assert [frame.stamp_ns for frame in frames] == list(expected)
        for frame in frames:
            np.testing.assert_array_equal(frame.result.class_ids, expected[frame.stamp_ns])
            assert len(frame.result.probabilities) == len(frame.result)
            assert {"decode", "inference", "network.look", "publish"} <= set(frame.stage_ms)
            assert frame.total_ms > frame.inference_ms > 0
            assert 0 <= time.time_ns() - frame.received_ns < 60 * SECOND_NS
        assert recorder.take() == []
        wait_until(lambda: recorder.counts.received == 3 and recorder.counts.is_settled, "the node's own counts")
        assert (recorder.counts.published, recorder.counts.dropped) == (3, {})


def test_only_the_newest_frames_are_kept(node, send):
    with RecorderThread(NODE, max_frames=2) as recorder:
        for stamp_ns in (1, 2, 3):
            send(stamp_ns, [1])
            wait_until(lambda: recorder.counts and recorder.counts.is_settled, "the node's own counts")
            wait_until(lambda stamp_ns=stamp_ns: recorder.counts.published == stamp_ns, f"the result of {stamp_ns}")
        send(4, [1])
        wait_until(lambda: recorder.counts.published == 4, "the last result")
        assert [frame.stamp_ns for frame in recorder.take()] == [3, 4]


def test_a_dropped_cloud_is_in_the_counts_under_its_reason(node, graph):
    publisher = graph.publisher(PointCloud2, f"{NODE}/input/pointcloud")
    with RecorderThread(NODE) as recorder:
        # Subscribed before the cloud comes, or the node would drop it for want of a subscriber.
        wait_until(lambda: recorder.state.is_active, "the node to be active", START_TIMEOUT_S)
        wait_until(lambda: recorder.count_publishers(f"{NODE}/debug/timings"), "the node's timings")
        message = cloud(1, np.zeros((4, 4), np.float32))
        message.data = message.data[:10]
        publisher.publish(message)
        wait_until(lambda: recorder.counts.received, "the node's own counts")
        wait_until(lambda: recorder.counts.is_settled, "the node to be done")
        assert recorder.counts.published == 0
        (reason,) = recorder.counts.dropped
        (frame,) = wait_until(recorder.take, "the drop")
        assert (frame.stamp_ns, frame.dropped, frame.result) == (1, reason, None)
        assert reason.startswith("malformed.")
        assert frame.problem
        assert frame.total_ms > 0


def test_a_node_that_cannot_start_says_why(tmp_path):
    with (
        NodeProcess(STUB_NODE, tmp_path / "log", {"bundle": "missing", "autostart": True}),
        RecorderThread(NODE) as recorder,
    ):
        wait_until(lambda: recorder.state.failure, "the node to report", START_TIMEOUT_S)
        assert "no bundle 'missing'" in recorder.state.failure
        assert not recorder.state.is_active
