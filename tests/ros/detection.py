"""The detection node under test."""

from __future__ import annotations

from typing import Any

from cloud_nodes import CloudNodeUnderTest
from support import Collector, Graph
from vision_msgs.msg import Detection3D, Detection3DArray
from visualization_msgs.msg import MarkerArray

NODE = "/detection"
UNDER_TEST = CloudNodeUnderTest(
    NODE, "stub_detector.py", {"objects": (Detection3DArray, "objects"), "markers": (MarkerArray, "markers")}
)
STATE, NETWORK, FRAMES = map(UNDER_TEST.status, ("state", "network", "frames"))
start_stub = UNDER_TEST.start


def connect(graph: Graph, results: tuple[str, ...] = ("objects",)) -> tuple[Any, dict[str, Collector]]:
    """A publisher that the active node hears, and a collector for each result that it knows of."""
    return UNDER_TEST.connect(graph, results)


def class_of(detection: Detection3D) -> str:
    """The class of a detection's only hypothesis."""
    (result,) = detection.results
    return str(result.hypothesis.class_id)


def classes_of(message: Detection3DArray) -> list[str]:
    """The class of every detection."""
    return [class_of(detection) for detection in message.detections]


def place_of(detection: Detection3D) -> tuple[float, float, float]:
    """Where its centre is, in metres."""
    position = detection.bbox.center.position
    return position.x, position.y, position.z
