"""Node processes with a real detector, where PyTorch cannot be imported."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from clouds import stamped
from detection import FRAMES, NODE, check_well_formed, classes_of, connect
from processes import NodeProcess, wait_until
from sensor_msgs.msg import PointCloud2
from vision_msgs.msg import Detection3DArray

from perception.data.boxes import chosen
from perception.runtime import load_engine
from perception.types import Frame, PointCloud
from tests.bundle.detector_graphs import RANGE_M, write_checked_detector

pytestmark = pytest.mark.ros

SHIPPED = "flatformer_street"
PARAMETERS = {"autostart": True, "input_reliability": "reliable"}


def some_street(count: int = 2000) -> np.ndarray:
    """Points in the small detector's range, and some outside of it."""
    low, high = np.array(RANGE_M[:3]) * 1.5, np.array(RANGE_M[3:]) * 1.5
    generator = np.random.default_rng(3)
    return generator.uniform([*low, 0], [*high, 1], (count, 4)).astype(np.float32)


def check(message: Detection3DArray, expected) -> None:
    """The message says what the engine found."""
    assert classes_of(message) == list(expected.class_names)
    for index, detection in enumerate(message.detections):
        center, size = detection.bbox.center, detection.bbox.size
        place = (center.position.x, center.position.y, center.position.z)
        np.testing.assert_allclose(place, expected.centers[index], atol=1e-6)
        np.testing.assert_allclose((size.x, size.y, size.z), expected.sizes[index], rtol=1e-6)
        yaw = 2 * math.atan2(center.orientation.z, center.orientation.w)
        assert math.cos(yaw - expected.yaws[index]) == pytest.approx(1)
        assert detection.results[0].hypothesis.score == pytest.approx(float(expected.scores[index]))


@pytest.mark.parametrize(
    ("module", "words"),
    [("perception.nodes.detection", ()), ("perception.nodes.container", ("--nodes", "detection"))],
)
def test_the_node_publishes_what_the_engine_finds(graph, tmp_path, without_torch, module, words):
    bundle, points = write_checked_detector(tmp_path / "small"), some_street()
    expected = load_engine(bundle, threads=1).forward(Frame(PointCloud(points))).boxes
    parameters = {"bundle": bundle, **PARAMETERS}
    with NodeProcess(module, tmp_path / "log", parameters, words, environment=without_torch) as node:
        publisher, outputs = connect(graph)
        publisher.publish(stamped(points, 1))
        assert len(expected) > 1
        check(outputs["objects"].wait_for(1)[0], expected)
        threshold = float(np.median(expected.scores))
        assert graph.set_parameter(NODE, "min_score", threshold).successful
        publisher.publish(stamped(points, 2))
        check(outputs["objects"].wait_for(2)[1], chosen(expected, expected.scores >= threshold))
        graph.wait_for_diagnostic(FRAMES, "out", "2")
        assert node.stop(timeout_s=30) == 0
        assert "Traceback" not in node.output()


def real_cloud(shared: Path, sample: str) -> np.ndarray:
    """A recorded sweep as its driver would publish it: x, y, z, intensity."""
    described = json.loads((shared / "data" / sample / "sample.json").read_text())["lidar"]
    points = np.fromfile(shared / "data" / sample / described["file"], np.float32)
    return points.reshape(-1, 4 if sample == "kitti_sample" else 5)[:, :4]


@pytest.mark.parametrize("sample", ["kitti_sample", "nuscenes_sample"])
def test_real_clouds_give_well_formed_objects(graph, tmp_path, shared, sample):
    """With the shipped detector, though it knows simulated streets only."""
    points, engine = real_cloud(shared, sample), load_engine(SHIPPED, threads=1)
    expected = engine.forward(Frame(PointCloud(points))).boxes
    with NodeProcess("perception.nodes.detection", tmp_path / "log", {"bundle": SHIPPED, **PARAMETERS}):
        publisher, outputs = connect(graph)
        source = stamped(points, 1)
        publisher.publish(source)
        message = outputs["objects"].wait_for(1)[0]
    assert len(expected) > 0
    check(message, expected)
    check_well_formed(message, source, engine.description.classes)


def test_bring_up_runs_both_tasks_on_one_cloud(graph, tmp_path, without_torch, top):
    """One process, two networks: points are labelled and objects found in the same clouds, from config's score on."""
    bundle, points = write_checked_detector(tmp_path / "small"), some_street()
    found = load_engine(bundle, threads=1).forward(Frame(PointCloud(points))).boxes
    min_score = yaml.safe_load((top / "config" / "bringup.yaml").read_text())["nodes"]["detection"]["min_score"]
    expected = chosen(found, found.scores >= min_score)
    words = ["bringup", f"models:=spvcnn_street,{bundle}"]
    with NodeProcess("perception.cli", tmp_path / "log", arguments=words, environment=without_torch) as process:
        labels = graph.collect(PointCloud2, "/perception/segmentation/output/pointcloud/segmentation")
        objects = graph.collect(Detection3DArray, "/perception/detection/output/objects")
        graph.wait_for_state("/perception/segmentation", "active")
        graph.wait_for_state("/perception/detection", "active")
        publisher = graph.publisher(PointCloud2, "/points", subscribers=2)
        graph.wait_for_diagnostic("/perception/segmentation: state", "publishing", "segmentation")
        graph.wait_for_diagnostic("/perception/detection: state", "publishing", "objects")
        publisher.publish(stamped(points, 1))
        assert 0 < len(expected) < len(found)
        check(objects.wait_for(1)[0], expected)
        assert labels.wait_for(1)[0].width == len(points)
        wait_until(process.is_running, "bring-up to run on")
        assert process.stop(timeout_s=60) == 0
