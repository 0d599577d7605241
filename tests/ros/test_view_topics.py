"""`perception view --topics`: what a replayed bag publishes is in the viewer's file."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
from processes import NodeProcess, wait_until

from perception.data.bags import write_drive
from perception.data.drive import DriveFrame
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
