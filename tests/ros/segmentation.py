"""The segmentation node under test."""

from __future__ import annotations

from typing import Any

from cloud_nodes import CloudNodeUnderTest
from sensor_msgs.msg import PointCloud2
from support import Collector, Graph

NODE = "/segmentation"
UNDER_TEST = CloudNodeUnderTest(
    NODE,
    "stub_node.py",
    {name: (PointCloud2, f"pointcloud/{name}") for name in ("segmentation", "visualization", "filtered")},
)
INPUT = UNDER_TEST.input
STATE, NETWORK, FRAMES, PROCESSING = map(UNDER_TEST.status, ("state", "network", "frames", "processing"))
output, start_stub = UNDER_TEST.output, UNDER_TEST.start


def connect(graph: Graph, clouds: tuple[str, ...] = ("segmentation",)) -> tuple[Any, dict[str, Collector]]:
    """A publisher that the active node hears, and a collector for each output cloud that it knows of."""
    return UNDER_TEST.connect(graph, clouds)
