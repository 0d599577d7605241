"""Processes of nodes: clean ends, several nodes in one, and the real network."""

from __future__ import annotations

import signal

import numpy as np
import pytest
from clouds import columns_of, make_cloud, some_points
from processes import START_TIMEOUT_S, NodeProcess, wait_until
from segmentation import FRAMES, NODE, connect, start_stub

from perception.configuration import ConfigurationError
from perception.paths import find_bundle

pytestmark = pytest.mark.ros

BUNDLE = "spvcnn_street"


@pytest.fixture
def real_bundle():
    try:
        return find_bundle(BUNDLE)
    except ConfigurationError:
        pytest.fail(f"the repository ships the bundle {BUNDLE}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("autostart", [True, False])
def test_a_signal_ends_the_node_with_code_0(graph, tmp_path, number, autostart):
    with start_stub(tmp_path, autostart=autostart) as node:
        graph.wait_for_state(NODE, "active" if autostart else "unconfigured")
        assert node.stop(number) == 0
        assert "Traceback" not in node.output()
        assert "never retrieved" not in node.output()
        assert "terminate called" not in node.output()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_midst_of_frames(graph, tmp_path, number):
    with start_stub(tmp_path) as node:
        publisher, outputs = connect(graph)
        timer = graph.node.create_timer(0.01, lambda: publisher.publish(make_cloud(some_points(20_000))))
        outputs["segmentation"].wait_for(5)
        assert node.stop(number) == 0
        timer.cancel()
        assert "Traceback" not in node.output()


@pytest.mark.parametrize(
    ("parameters", "text"),
    [({"max_points": "many"}, "max_points"), ({"max_points": -1}, "max_points"), ({"palette": "rainbow"}, "palette")],
)
def test_a_wrong_parameter_stops_the_start_with_one_line(tmp_path, parameters, text):
    with start_stub(tmp_path, **parameters) as node:
        assert node.process.wait(START_TIMEOUT_S) == 2
        assert text in node.output()
        assert "Traceback" not in node.output()


def test_several_nodes_in_one_process(graph, tmp_path):
    names = ("front", "rear")
    arguments = ["--nodes", "segmentation:front,segmentation:rear"]
    with NodeProcess("perception.nodes.container", tmp_path / "container.log", arguments=arguments) as container:
        for name in names:
            assert graph.state(f"/{name}") == "unconfigured"
        wait_until(lambda: all(graph.diagnostic(f"/{name}: state") for name in names), "diagnostics of both")
        assert container.stop(signal.SIGTERM) == 0
        assert "Traceback" not in container.output()


@pytest.mark.parametrize("nodes", ["nonsense", "segmentation,segmentation", ""])
def test_a_container_of_nothing_sensible_is_one_line(tmp_path, nodes):
    with NodeProcess("perception.nodes.container", tmp_path / "container.log", arguments=["--nodes", nodes]) as process:
        assert process.process.wait(START_TIMEOUT_S) == 2
        assert "Traceback" not in process.output()


def test_nodes_import_neither_torch_nor_training(tmp_path):
    script = tmp_path / "imports.py"
    script.write_text(
        "import sys\nimport perception.nodes.container\n"
        "heavy = [m for m in sys.modules if m == 'torch' or m.startswith(('perception.nn', 'perception.models'))]\n"
        "print(heavy)\nsys.exit(bool(heavy))\n"
    )
    with NodeProcess(str(script), tmp_path / "imports.log") as process:
        assert process.process.wait(START_TIMEOUT_S) == 0, process.output()


def test_the_shipped_network_labels_every_point_of_the_real_scan(graph, tmp_path, real_bundle, semantic_kitti_scan):
    points = np.fromfile(semantic_kitti_scan, np.float32).reshape(-1, 4)
    parameters = {"bundle": real_bundle, "autostart": True, "input_reliability": "reliable"}
    with NodeProcess("perception.nodes.segmentation", tmp_path / "node.log", parameters) as node:
        publisher, outputs = connect(graph)
        source = make_cloud(points, frame_id="velodyne")
        source.header.stamp.sec = 99
        publisher.publish(source)
        cloud = outputs["segmentation"].wait_for(1, timeout_s=START_TIMEOUT_S)[0]
        graph.wait_for_diagnostic(FRAMES, "out", "1")
        assert node.stop() == 0

    columns = columns_of(cloud)
    assert cloud.header == source.header
    assert len(columns) == 123_389
    assert (columns["class_id"] < 19).all()
    assert np.array_equal(columns["z"], points[:, 2])
    assert ((columns["probability"] > 0) & (columns["probability"] <= 1)).all()
