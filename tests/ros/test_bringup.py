"""`perception bringup` with the real nodes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml
from bags import START_NS, cloud, write_bag
from processes import START_TIMEOUT_S, NodeProcess, wait_until
from sensor_msgs.msg import PointCloud2
from support import Collector, Graph

pytestmark = pytest.mark.ros
NODE = "/perception/segmentation"
OUTPUT = f"{NODE}/output/pointcloud/segmentation"
CLOUDS = 10


def bringup(folder: Path, *arguments: str) -> NodeProcess:
    return NodeProcess("perception.cli", folder / "log", arguments=["bringup", *arguments])


def stamps_ns(collector: Collector) -> list[int]:
    return [message.header.stamp.sec * 10**9 + message.header.stamp.nanosec for message in collector.messages]


def descendants(process: NodeProcess) -> list[psutil.Process]:
    return psutil.Process(process.process.pid).children(recursive=True)


@pytest.mark.parametrize(
    ("composed", "number", "name"), [("true", signal.SIGINT, "container"), ("false", signal.SIGTERM, "segmentation")]
)
def test_it_starts_and_stops_cleanly(
    graph: Graph, tmp_path: Path, composed: str, number: signal.Signals, name: str
) -> None:
    with bringup(tmp_path, f"composed:={composed}") as process:
        graph.wait_for_state(NODE, "active")
        graph.wait_for_subscriber("/points", "segmentation")
        (child,) = descendants(process)
        assert process.stop(number, timeout_s=30) == 0
        assert not child.is_running()
    assert f"[{name}] " in process.output()
    assert f"[bringup] {name} stopped (exit code 0)" in process.output()
    assert "Traceback" not in process.output()


def test_a_killed_node_comes_back(graph: Graph, tmp_path: Path) -> None:
    with bringup(tmp_path, "composed:=false") as process:
        graph.wait_for_state(NODE, "active")
        (child,) = descendants(process)
        child.kill()
        status = "/perception/bringup: segmentation"
        graph.wait_for_diagnostic(status, "pid", "none")
        graph.wait_for_diagnostic(status, "restarts", "1")
        (again,) = wait_until(lambda: descendants(process), "the restart")
        assert again.pid != child.pid
        assert graph.diagnostic_values(status)["last_exit"] == "killed by SIGKILL"
        wait_until(lambda: process.output().count("loaded '") == 2, "the network to be loaded again", START_TIMEOUT_S)
        graph.wait_for_state(NODE, "active")
        assert process.stop(timeout_s=30) == 0
    assert "[bringup] segmentation died (killed by SIGKILL); restart in 1 s" in process.output()


def test_a_bag_is_replayed_along_and_ends_it(graph: Graph, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", [("/lidar", 0.5 * index, cloud(0.5 * index, 2000)) for index in range(CLOUDS)])
    results = graph.collect(PointCloud2, OUTPUT)
    with bringup(tmp_path, f"bag:={bag}", "input/pointcloud:=/lidar") as process:
        assert process.process.wait(START_TIMEOUT_S + 60) == 0
    sent = [START_NS + 500_000_000 * index for index in range(CLOUDS)]
    wait_until(lambda: stamps_ns(results)[-1:] == sent[-1:], "the label of the last cloud")
    # The node may find out that the test listens after the first cloud or two; from then on none is missing.
    heard = stamps_ns(results)
    assert heard == sent[-len(heard) :]
    assert len(heard) >= CLOUDS // 2
    assert {message.width for message in results.messages} == {2000}
    assert "[bringup] replay has ended (exit code 0)" in process.output()


@pytest.mark.slow
def test_build_only_ends_with_0(tmp_path: Path) -> None:
    with bringup(tmp_path, "build_only:=true") as process:
        assert process.process.wait(START_TIMEOUT_S) == 0
    assert "[perception.segmentation]: loaded 'spvcnn_street' in" in process.output()
    assert "Traceback" not in process.output()


def test_build_only_of_a_network_that_cannot_run_ends_with_2_and_one_sentence(tmp_path: Path) -> None:
    with bringup(tmp_path, "build_only:=true", "device:=cuda:999") as process:
        assert process.process.wait(START_TIMEOUT_S) == 2
    (line,) = (line for line in process.output().splitlines() if "cannot configure" in line)
    assert "cuda:999" in line
    assert "Traceback" not in process.output()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["speed:=3"], "unknown argument 'speed'"),
        (["config:=/nowhere/robot.yaml"], "/nowhere/robot.yaml: cannot be read"),
        (["config:={config}"], "nodes.segmentation.max_points: expected int 1 to 1e+07, found 'many'"),
        (["models:=nix"], "no bundle 'nix'"),
    ],
)
def test_bad_configuration_starts_nothing(tmp_path: Path, arguments: list[str], expected: str) -> None:
    config = tmp_path / "robot.yaml"
    nodes = {"segmentation": {"max_points": "many"}}
    config.write_text(yaml.safe_dump({"models": ["spvcnn_street"], "nodes": nodes}))
    words = [word.format(config=config) for word in arguments]
    command = [sys.executable, "-m", "perception.cli", "bringup", *words]
    result = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), timeout=60)
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("perception bringup: ")
    assert expected in result.stderr


def test_show_args() -> None:
    command = [sys.executable, "-m", "perception.cli", "bringup", "--show-args"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0
    assert "'input/pointcloud':" in result.stdout
