"""Node processes with real bundles, where PyTorch cannot be imported: labels, swaps, memory."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
from clouds import columns_of, some_points, stamped
from processes import REFUSED, NodeProcess
from segmentation import FRAMES, NETWORK, NODE, connect
from sensor_msgs.msg import PointCloud2
from support import LATCHED
from vision_msgs.msg import LabelInfo

from perception.runtime import load_engine
from perception.types import Frame, PointCloud
from perception_interfaces.srv import LoadBundle
from tests.bundle.graphs import description_of, graph_of, unet, write_files

pytestmark = pytest.mark.ros

SWAPS = 10
#: After so many, both networks have been loaded beside each other and every buffer has its size.
SETTLING_SWAPS = 4


def write_network(folder: Path, name: str, classes: tuple[str, ...] = ("car", "road", "tree")) -> Path:
    """A small U-Net as a bundle, wide enough that a network that is not freed shows."""
    net = unet(width=64)
    return write_files(folder / name, graph_of(net), net.tensors, description_of(name=name, classes=list(classes)))


def expected_labels(bundle: Path, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labelled = load_engine(bundle).forward(Frame(PointCloud(points)))
    return labelled.class_ids, labelled.probabilities


def test_refusing_works(without_torch):
    for package in REFUSED:
        environment = {**os.environ, **without_torch}
        result = subprocess.run(
            [sys.executable, "-c", f"import {package}"], env=environment, capture_output=True, text=True, check=False
        )
        assert "is not for robots" in result.stderr


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("perception.nodes.segmentation", ()),
        ("perception.nodes.container", ("--nodes", "segmentation")),
    ],
)
def test_a_node_labels_a_cloud_without_pytorch(graph, tmp_path, without_torch, module, words):
    bundle, points = write_network(tmp_path, "tiny"), some_points(3000)
    class_ids, probabilities = expected_labels(bundle, points)
    parameters = {"bundle": bundle, "autostart": True, "input_reliability": "reliable"}
    with NodeProcess(module, tmp_path / "log", parameters, words, environment=without_torch) as node:
        publisher, outputs = connect(graph)
        publisher.publish(stamped(points, 1))
        columns = columns_of(outputs["segmentation"].wait_for(1)[0])
        assert node.stop() == 0
        assert "Traceback" not in node.output()
    assert np.array_equal(columns["class_id"], class_ids)
    assert np.array_equal(columns["probability"], probabilities)


def test_bring_up_labels_a_cloud_without_pytorch(graph, tmp_path, without_torch):
    bundle, points = write_network(tmp_path, "tiny"), some_points(3000)
    class_ids, _ = expected_labels(bundle, points)
    words = ["bringup", f"models:={bundle}"]
    with NodeProcess("perception.cli", tmp_path / "log", arguments=words, environment=without_torch) as process:
        name = "/perception/segmentation"
        results = graph.collect(PointCloud2, f"{name}/output/pointcloud/segmentation")
        graph.wait_for_state(name, "active")
        publisher = graph.publisher(PointCloud2, "/points")
        graph.wait_for_diagnostic(f"{name}: state", "publishing", "segmentation")
        publisher.publish(stamped(points, 1))
        columns = columns_of(results.wait_for(1)[0])
        assert process.stop(timeout_s=30) == 0
    assert np.array_equal(columns["class_id"], class_ids)


def test_swapping_bundles_under_load_loses_no_cloud_and_no_memory(graph, tmp_path, without_torch):
    bundles = [write_network(tmp_path, name, classes) for name, classes in (("one", ("a", "b", "c")), ("two", "def"))]
    parameters = {"bundle": bundles[0], "autostart": True, "input_reliability": "reliable"}
    with NodeProcess("perception.nodes.segmentation", tmp_path / "log", parameters, environment=without_torch) as node:
        publisher, outputs = connect(graph)
        labels = graph.collect(LabelInfo, f"{NODE}/label_info", LATCHED)
        labels.wait_for(1)
        resident, answers = [], []
        process = psutil.Process(node.process.pid)

        def swap():
            for number in range(1, SWAPS + 1):
                request = LoadBundle.Request(bundle=str(bundles[number % 2]))
                answers.append(graph.call_once(LoadBundle, f"{NODE}/load_bundle", request))
                resident.append(process.memory_info().rss)

        swapper = threading.Thread(target=swap)
        swapper.start()
        published = 0
        # The next cloud follows when the labels of the one before have come, so that none can be superseded.
        while swapper.is_alive() or published < 50:
            published += 1
            publisher.publish(stamped(some_points(2000, seed=published), published))
            outputs["segmentation"].wait_for(published)
        graph.wait_for_diagnostic(FRAMES, "out", str(published))
        counters = graph.diagnostic_values(FRAMES)
        graph.wait_for_diagnostic(NETWORK, "loaded", str(SWAPS + 1))
        assert node.stop() == 0

    # An answer may be lost on its way (`Graph.call`); the count of loaded bundles says that all were swapped.
    assert all(answer is None or answer.success for answer in answers), answers
    assert (counters["in"], counters["dropped"]) == (str(published), "0")
    assert [cloud.header.stamp.sec for cloud in outputs["segmentation"].messages] == list(range(1, published + 1))
    names = ["".join(one.class_name for one in info.class_map) for info in labels.messages]
    assert names == ["abc", "def"] * (SWAPS // 2) + ["abc"]
    settled = resident[SETTLING_SWAPS:]
    assert max(settled) / settled[0] - 1 < 0.05, resident
