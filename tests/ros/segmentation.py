"""What the tests of the segmentation node share: its names, and a running node with a stand-in network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from processes import NodeProcess, wait_until
from sensor_msgs.msg import PointCloud2
from support import Collector, Graph

NODE = "/segmentation"
INPUT = f"{NODE}/input/pointcloud"
STATE, NETWORK, FRAMES, PROCESSING = (f"{NODE}: {part}" for part in ("state", "network", "frames", "processing"))
STUB = str(Path(__file__).parent / "stub_node.py")


def output(name: str) -> str:
    """The topic of an output cloud."""
    return f"{NODE}/output/pointcloud/{name}"


def start_stub(folder: Path, **parameters: Any) -> NodeProcess:
    """The node in its own process, active soon, hearing every test cloud, with the stand-in network."""
    defaults = {"bundle": "stub", "autostart": True, "input_reliability": "reliable"}
    return NodeProcess(STUB, folder / "node.log", {**defaults, **parameters})


def connect(graph: Graph, clouds: tuple[str, ...] = ("segmentation",)) -> tuple[Any, dict[str, Collector]]:
    """A publisher that the active node hears, and a collector for each output cloud that it knows of."""
    collectors = {name: graph.collect(PointCloud2, output(name)) for name in clouds}
    graph.wait_for_state(NODE, "active")
    publisher = graph.publisher(PointCloud2, INPUT)
    for name in clouds:
        wait_until(lambda name=name: graph.node.count_publishers(output(name)), f"{NODE} to publish {name}")
    published = ", ".join(clouds)
    if clouds:
        graph.wait_for_diagnostic(STATE, "publishing", published)
    return publisher, collectors
