"""config/rviz and config/foxglove name only topics that are published, as what they are shown."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from perception.bringup.description import NAMESPACE
from perception.data.bag_results import encode_result
from perception.data.bag_types import Topics
from perception.nodes.detection_outputs import DetectionOutputs
from perception.nodes.segmentation_outputs import SegmentationOutputs
from perception.types import DetectedObjects, LabelledCloud
from tests.evaluation.view.conftest import boxes

POINT_CLOUD, DETECTIONS, MARKERS = "PointCloud2", "Detection3DArray", "MarkerArray"
DRIVE = Topics()
#: What bags, the simulator and robots give.
GIVEN = {
    DRIVE.points: POINT_CLOUD,
    DRIVE.labelled_points: POINT_CLOUD,
    DRIVE.objects: DETECTIONS,
    "/diagnostics": "DiagnosticArray",
}
#: Of Foxglove Studio 1.48 (@foxglove/studio-base) and Lichtblick, whose panels are of the same types.
FOXGLOVE_PANELS = {"3D", "Plot", "Image", "DiagnosticSummary", "DiagnosticStatusPanel", "RawMessages", "RosOut"}
#: RViz display -> the message that it shows; None: it has no topic.
RVIZ_DISPLAYS = {
    "rviz_default_plugins/Grid": None,
    "rviz_default_plugins/TF": None,
    "rviz_default_plugins/PointCloud2": POINT_CLOUD,
    "rviz_default_plugins/MarkerArray": MARKERS,
    "vision_msgs_rviz_plugins/Detection3DArray": DETECTIONS,
}


class PublisherList:
    """Stands in for a node: remembers what is published."""

    statistics = parameters = SimpleNamespace()

    def __init__(self, name: str) -> None:
        self.name, self.topics = name, {}

    def create_lifecycle_publisher(self, kind: type, topic: str, qos: Any) -> None:
        self.topics[topic.replace("~", f"{NAMESPACE}/{self.name}")] = kind

    create_publisher = create_lifecycle_publisher


@pytest.fixture(scope="module")
def published() -> dict[str, type]:
    """Topic -> message type, of the nodes of bring-up."""
    segmentation, detection = PublisherList("segmentation"), PublisherList("detection")
    SegmentationOutputs(segmentation, segmentation.parameters)
    DetectionOutputs(detection, lambda *_: np.eye(4))
    return segmentation.topics | detection.topics


@pytest.fixture(scope="module")
def in_result_bags() -> dict[str, str]:
    """Topic -> message type, of the demo networks' results in a bag."""
    points = np.zeros((1, 4), np.float32)
    labels = LabelledCloud(np.zeros(1, np.uint8), np.ones(1, np.float32))
    results = {"spvcnn_street": labels, "flatformer_street": DetectedObjects(boxes(1))}
    return {
        f"/{network}/{topic}": kind.rpartition("/")[2]
        for network, result in results.items()
        for topic, kind, _ in encode_result(result, points, 0, "lidar", {"car": (1, 2, 3)})
    }


def rviz_displays(top: Path, name: str) -> list[dict[str, Any]]:
    layout = yaml.safe_load((top / "config" / "rviz" / f"{name}.rviz").read_text())
    assert layout["Visualization Manager"]["Global Options"]["Fixed Frame"] == "base_link"
    return layout["Visualization Manager"]["Displays"]


@pytest.mark.parametrize("name", ["bringup", "evaluation"])
def test_rviz_shows_what_is_published(top, published, in_result_bags, name) -> None:
    known = GIVEN | (in_result_bags if name == "evaluation" else {t: kind.__name__ for t, kind in published.items()})
    displays = rviz_displays(top, name)
    assert len({display["Name"] for display in displays}) == len(displays)
    for display in displays:
        kind = RVIZ_DISPLAYS[display["Class"]]
        if kind is not None:
            assert known[display["Topic"]["Value"]] == kind, display["Name"]


def test_rviz_compares_results_with_the_truth(top) -> None:
    topics = {display["Topic"]["Value"] for display in rviz_displays(top, "evaluation") if "Topic" in display}
    assert {DRIVE.labelled_points, DRIVE.objects} <= topics


@pytest.fixture(scope="module")
def foxglove(top) -> dict[str, Any]:
    return json.loads((top / "config" / "foxglove" / "perception.json").read_text())


def leaves(node: Any) -> list[str]:
    return [node] if isinstance(node, str) else leaves(node["first"]) + leaves(node["second"])


def test_every_foxglove_panel_is_placed_once_and_exists(foxglove) -> None:
    assert sorted(leaves(foxglove["layout"])) == sorted(foxglove["configById"])
    assert {panel.partition("!")[0] for panel in foxglove["configById"]} <= FOXGLOVE_PANELS


def test_foxglove_s_scene_shows_what_is_published(foxglove, published) -> None:
    known = GIVEN | {topic: kind.__name__ for topic, kind in published.items()}
    shown = foxglove["configById"]["3D!scene"]["topics"]
    assert {known[topic] for topic in shown} == {POINT_CLOUD, MARKERS}


def paths(foxglove: dict[str, Any]) -> list[str]:
    panels = foxglove["configById"]
    plotted = [path["value"] for name, panel in panels.items() if name.startswith("Plot!") for path in panel["paths"]]
    return [*plotted, panels["RawMessages!objects"]["topicPath"]]


def test_foxglove_plots_fields_that_exist(foxglove, published) -> None:
    assert foxglove["configById"]["DiagnosticSummary!diagnostics"]["topicToRender"] in GIVEN
    for path in paths(foxglove):
        topic, field = path.split(".")[:2]
        assert field.partition("[")[0] in published[topic].get_fields_and_field_types(), path
