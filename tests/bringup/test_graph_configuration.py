"""The bring-up of an evaluation: as the robot's, but that nothing is filtered."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from perception.bringup.graph.configuration import POINTS_TOPIC, write_configuration
from perception.configuration import ConfigurationError
from perception.paths import find_bundle

ROBOT = {
    "models": ["spvnas_street"],
    "device": "cuda:1",
    "composed": False,
    "input": {"pointcloud": "/velodyne_points"},
    "nodes": {
        "detection": {"min_score": 0.3, "max_range_m": 20.0, "classes": ["car"], "max_sweep_age_s": 0.3},
        "segmentation": {"intensity_scale": 0.00392},
    },
}
BUNDLES = ("flatformer_street", "spvcnn_street")


@pytest.fixture
def robot(tmp_path: Path) -> str:
    file = tmp_path / "robot.yaml"
    file.write_text(yaml.safe_dump(ROBOT))
    return str(file)


def test_the_robot_s_settings_hold_but_for_what_hides_results(tmp_path: Path, robot: str) -> None:
    description = write_configuration(tmp_path / "written.yaml", list(map(find_bundle, BUNDLES)), robot)
    detection, segmentation = description.nodes
    assert [Path(node.parameters["bundle"]).name for node in description.nodes] == list(BUNDLES)
    assert {node.remappings["~/input/pointcloud"] for node in description.nodes} == {POINTS_TOPIC}
    assert (segmentation.parameters["intensity_scale"], segmentation.parameters["device"]) == (0.00392, "cuda:1")
    assert detection.parameters["max_sweep_age_s"] == 0.3
    assert not {"min_score", "max_range_m", "classes"} & detection.parameters.keys()
    assert all(node.parameters["use_sim_time"] for node in description.nodes)
    # Not composed, as the robot has it.
    assert len(description.processes) == 2


def test_a_device_that_is_named_comes_first(tmp_path: Path, robot: str) -> None:
    (node,) = write_configuration(tmp_path / "written.yaml", [find_bundle(BUNDLES[1])], robot, "cpu").nodes
    assert node.parameters["device"] == "cpu"


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing\.yaml"):
        write_configuration(tmp_path / "written.yaml", [find_bundle(BUNDLES[1])], str(tmp_path / "nothing.yaml"))
