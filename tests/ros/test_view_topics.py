"""`perception view --topics`: what a replayed bag publishes is in the viewer's file."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import NodeProcess, wait_until
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2
from support import Graph

from perception.bringup.view.live import TopicViewer
from perception.data.bags import write_drive
from perception.data.drive import DriveFrame
from perception.ros.quality_of_service import LATCHED_QOS, RESULT_QOS, sensor_qos
from perception.types import Frame, PointCloud
from tests.evaluation.view.conftest import START_NS, STEP_NS, boxes
from tests.evaluation.view.rrd import entities, red_green_blue, rows

pytestmark = pytest.mark.ros
FRAMES = 5
STAMPS_NS = [START_NS + index * STEP_NS for index in range(FRAMES)]
SHOWN = ("/points", "/ground_truth/points", "/ground_truth/objects", "/tf_static")


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    points = np.random.default_rng(1).uniform(-20, 20, (100, 4)).astype(np.float32)
    base_from_lidar = np.eye(4)
    base_from_lidar[2, 3] = 1.7
    frames = (Frame(PointCloud(points), stamp_ns, "lidar") for stamp_ns in STAMPS_NS)
    ids = np.arange(100, dtype=np.uint8) % 19
    write_drive(tmp_path / "bag", [DriveFrame(frame, base_from_lidar, ids, objects=boxes(2)) for frame in frames])
    return tmp_path / "bag"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_topics_are_shown_until_a_signal(
    bag: Path, tmp_path: Path, without_torch: dict[str, str], number: signal.Signals
) -> None:
    pytest.importorskip("rerun")
    file = tmp_path / "live.rrd"
    words = ["view", "--topics", "--save", str(file)]
    viewing = NodeProcess("perception.cli", tmp_path / "view", arguments=words, environment=without_torch)
    replaying = NodeProcess(
        "perception.nodes.replay", tmp_path / "replay", arguments=[str(bag), "--wait-for-subscribers", *SHOWN]
    )
    with viewing, replaying:
        assert replaying.process.wait(60) == 0
        wait_until(lambda: all(f"showing {topic}" in viewing.output() for topic in SHOWN), "every topic")
        assert viewing.stop(number) == 0
    assert {*SHOWN} - {"/tf_static"} <= entities(file)
    objects = rows(file, "/ground_truth/objects", "Boxes3D:half_sizes")
    assert objects == [(stamp_ns, [[2.0, 1.0, 0.75]] * 2) for stamp_ns in STAMPS_NS]
    assert red_green_blue(rows(file, "/ground_truth/objects", "Boxes3D:colors")[0][1][0]) == (255, 255, 255)
    labelled = rows(file, "/ground_truth/points", "Points3D:class_ids")
    assert labelled[-1] == (STAMPS_NS[-1], [index % 19 for index in range(100)])
    assert rows(file, "tf/lidar", "Transform3D:parent_frame") == [(None, ["base_link"])]


class Told:
    """Stands in for Messages."""

    def __init__(self) -> None:
        self.topics: list[str] = []

    def show(self, topic: str, message_type: str, read: Callable[[], Any]) -> None:
        assert type(read()).__name__ == message_type.rpartition("/")[2]
        self.topics.append(topic)


@pytest.mark.parametrize("qos", [sensor_qos("best_effort"), RESULT_QOS, LATCHED_QOS])
def test_whatever_quality_is_offered_is_asked_for(graph: Graph, qos: QoSProfile) -> None:
    told = Told()
    publisher = graph.node.create_publisher(PointCloud2, "/points", qos)
    if qos is LATCHED_QOS:
        publisher.publish(PointCloud2())
    viewer = TopicViewer(told, (), context=graph.context)
    executor = SingleThreadedExecutor(context=graph.context)
    executor.add_node(viewer)
    try:
        for _ in range(100):
            if publisher.get_subscription_count() and qos is not LATCHED_QOS:
                publisher.publish(PointCloud2())
            executor.spin_once(timeout_sec=0.1)
            if told.topics:
                break
    finally:
        executor.shutdown()
        viewer.destroy_node()
        graph.node.destroy_publisher(publisher)
    assert told.topics[0] == "/points"
