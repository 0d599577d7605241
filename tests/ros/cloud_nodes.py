"""What the tests of every node that takes clouds share: its names in the graph, and a running node with a stand-in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import NodeProcess, wait_until
from sensor_msgs.msg import PointCloud2
from support import Collector, Graph


@dataclass(frozen=True)
class CloudNodeUnderTest:
    """A node of the stack, and the script that runs it with a stand-in for its network.

    Attributes:
        name: full name in the graph.
        stub: the script's file name, beside this file.
        outputs: name of each result -> message type and topic below `~/output`.
    """

    name: str
    stub: str
    outputs: Mapping[str, tuple[type, str]]

    @property
    def input(self) -> str:
        """The topic of its clouds."""
        return f"{self.name}/input/pointcloud"

    def output(self, result: str) -> str:
        """The topic of a result."""
        return f"{self.name}/output/{self.outputs[result][1]}"

    def status(self, part: str) -> str:
        """The name of one of its statuses on /diagnostics: state, network, frames or processing."""
        return f"{self.name}: {part}"

    def start(self, folder: Path, **parameters: Any) -> NodeProcess:
        """The node in its own process, active soon, hearing every test cloud, with the stand-in network."""
        defaults = {"bundle": "stub", "autostart": True, "input_reliability": "reliable"}
        script = str(Path(__file__).parent / self.stub)
        return NodeProcess(script, folder / "node.log", {**defaults, **parameters})

    def connect(self, graph: Graph, results: Sequence[str]) -> tuple[Any, dict[str, Collector]]:
        """A publisher that the active node hears, and a collector for each result that it knows of."""
        collectors = {result: graph.collect(self.outputs[result][0], self.output(result)) for result in results}
        graph.wait_for_state(self.name, "active")
        publisher = graph.publisher(PointCloud2, self.input)
        for result in results:
            topic = self.output(result)
            wait_until(lambda topic=topic: graph.node.count_publishers(topic), f"{self.name} to publish {topic}")
        if results:
            graph.wait_for_diagnostic(self.status("state"), "publishing", ", ".join(results))
        return publisher, collectors
