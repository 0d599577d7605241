"""The detection node under test."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
import pytest
from cloud_nodes import CloudNodeUnderTest
from sensor_msgs.msg import PointCloud2
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


def check_well_formed(message: Detection3DArray, source: PointCloud2, classes: Collection[str]) -> None:
    """What holds for every Detection3DArray of a cloud."""
    assert message.header == source.header
    for detection in message.detections:
        assert detection.header == source.header
        assert detection.id == ""
        (result,) = detection.results
        assert result.hypothesis.class_id in classes
        assert 0 <= result.hypothesis.score <= 1
        assert result.pose.pose == detection.bbox.center
        turned, size = detection.bbox.center.orientation, detection.bbox.size
        assert math.hypot(turned.x, turned.y, turned.z, turned.w) == pytest.approx(1, abs=1e-12)
        assert min(size.x, size.y, size.z) > 0
        assert np.isfinite(place_of(detection)).all()
