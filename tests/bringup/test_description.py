from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from perception.bringup.arguments import parse_arguments
from perception.bringup.bundles import TaskBundle, named_bundles
from perception.bringup.command import command_words
from perception.bringup.description import BringupDescription, describe
from perception.configuration import ConfigurationError
from tests.bundle.detector_graphs import write_detector
from tests.ros.bags import cloud, write_bag

BUNDLE = "spvcnn_street"


def described(*words: str) -> BringupDescription:
    return describe(parse_arguments(words))


def config_file(folder: Path, **values: Any) -> Path:
    file = folder / "robot.yaml"
    file.write_text(yaml.safe_dump({"models": [BUNDLE], **values}))
    return file


def test_composed_and_apart_hold_the_same_nodes() -> None:
    composed, apart = described("composed:=true"), described("composed:=false")
    assert composed.nodes == apart.nodes
    assert composed.parameters_yaml() == apart.parameters_yaml()
    assert [process.executable for process in composed.processes] == ["container"]
    assert composed.processes[0].arguments == ("--nodes", "segmentation")
    assert [process.executable for process in apart.processes] == ["segmentation"]
    assert not any(process.ends_bringup for process in (*composed.processes, *apart.processes))


def test_a_detector_beside_the_segmentation(tmp_path: Path) -> None:
    """Each bundle starts the node of its task, with its own parameters, in one process or in two."""
    detector = write_detector(tmp_path / "small")
    nodes = {"detection": {"min_score": 0.5, "class_min_scores": ["car=1"], "fixed_frame": "map"}}
    file = config_file(tmp_path, models=[BUNDLE, str(detector)], nodes=nodes)
    composed, apart = described(f"config:={file}"), described(f"config:={file}", "composed:=false")
    assert composed.processes[0].arguments == ("--nodes", "segmentation,detection")
    assert [process.module for process in apart.processes] == [
        "perception.nodes.segmentation",
        "perception.nodes.detection",
    ]
    parameters = yaml.safe_load(composed.parameters_yaml())
    values = parameters["/perception/detection"]["ros__parameters"]
    assert Path(values["bundle"]) == detector
    assert (values["min_score"], values["class_min_scores"], values["fixed_frame"]) == (0.5, ["car=1"], "map")
    assert [node.remappings for node in composed.nodes] == [{"~/input/pointcloud": "/points"}] * 2


def test_a_bag_waits_for_every_node(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", [("/points", 0.0, cloud(0.0))])
    both = f"models:={BUNDLE},{write_detector(tmp_path / 'small')}"
    alone, together = described(f"bag:={bag}"), described(f"bag:={bag}", both)
    assert alone.processes[-1].arguments[1:] == ("--wait-for-subscribers", "/points")
    assert together.processes[-1].arguments[1:] == ("--wait-for-subscribers", "/points", "/points")


def test_the_file_decides_and_arguments_override(tmp_path: Path) -> None:
    file = config_file(
        tmp_path,
        composed=False,
        log_level="warn",
        input={"pointcloud": "/a"},
        nodes={"segmentation": {"max_points": 1000, "max_processing_time_ms": 50}},
    )
    by_file = described(f"config:={file}")
    assert [process.name for process in by_file.processes] == ["segmentation"]
    assert by_file.log_level == "warn"
    assert by_file.nodes[0].remappings == {"~/input/pointcloud": "/a"}
    overridden = described(f"config:={file}", "composed:=true", "log_level:=debug", "input/pointcloud:=/b")
    assert [process.name for process in overridden.processes] == ["container"]
    assert overridden.log_level == "debug"
    assert overridden.nodes[0].remappings == {"~/input/pointcloud": "/b"}


def test_the_parameter_file_is_one_that_ros_reads(tmp_path: Path) -> None:
    file = config_file(tmp_path, device="cuda:1", nodes={"segmentation": {"max_processing_time_ms": 50}})
    parameters = yaml.safe_load(described(f"config:={file}").parameters_yaml())
    assert list(parameters) == ["/perception/segmentation"]
    values = parameters["/perception/segmentation"]["ros__parameters"]
    assert values["device"] == "cuda:1"
    assert values["autostart"] is True
    assert values["use_sim_time"] is False
    assert Path(values["bundle"]).name == BUNDLE
    # ROS 2 refuses a whole number where it expects a double.
    assert isinstance(values["max_processing_time_ms"], float)


def test_command_lines(tmp_path: Path) -> None:
    file = tmp_path / "parameters.yaml"
    apart = command_words(described("composed:=false").processes[0], file, "warn")[1:]
    assert apart == (
        *("-m", "perception.nodes.segmentation", "--ros-args", "--log-level", "warn", "--params-file", str(file)),
        *("-r", "__ns:=/perception", "-r", "__node:=segmentation"),
        *("-r", "segmentation:~/input/pointcloud:=/points"),
    )
    composed = command_words(described("composed:=true").processes[0], file, "warn")[1:]
    assert composed[:5] == ("-m", "perception.nodes.container", "--nodes", "segmentation", "--ros-args")
    # One name for all nodes of a process would make them indistinguishable.
    assert not any(word.startswith("__node") for word in composed)
    assert "segmentation:~/input/pointcloud:=/points" in composed


def test_bundles_of_one_task_have_nodes_named_after_them_too() -> None:
    description = described("models:=flatformer_street,spvcnn_street,pointpillars_street", "composed:=true")
    assert [(node.name, node.kind, Path(node.parameters["bundle"]).name) for node in description.nodes] == [
        ("detection_flatformer_street", "detection", "flatformer_street"),
        ("segmentation", "segmentation", "spvcnn_street"),
        ("detection_pointpillars_street", "detection", "pointpillars_street"),
    ]
    (container,) = description.processes
    assert container.arguments[1] == (
        "detection:detection_flatformer_street,segmentation,detection:detection_pointpillars_street"
    )
    assert "/perception/detection_pointpillars_street" in yaml.safe_load(description.parameters_yaml())
    apart = described("models:=flatformer_street,pointpillars_street", "composed:=false").processes
    assert [(one.name, one.executable, one.node_name) for one in apart] == [
        ("detection_flatformer_street", "detection", "detection_flatformer_street"),
        ("detection_pointpillars_street", "detection", "detection_pointpillars_street"),
    ]


def test_bundles_of_one_name_have_nodes_of_different_names() -> None:
    bundles = [TaskBundle("detection", Path(place) / "lite-2") for place in "abc"]
    assert list(named_bundles(bundles)) == ["detection_lite_2", "detection_lite_2_2", "detection_lite_2_3"]


def test_build_only_is_the_container_which_ends_by_itself() -> None:
    built, normal = described("build_only:=true"), described()
    assert built.nodes == normal.nodes
    (build,), (container,) = built.processes, normal.processes
    assert (build.module, build.ends_bringup) == (container.module, True)
    assert build.arguments == (*container.arguments, "--build-only")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"colour": "red"}, "unknown key 'colour' (known here: composed, device"),
        ({"composed": 7}, "composed: Input should be a valid boolean"),
        ({"device": "tpu"}, "device: String should match pattern"),
        ({"models": []}, "models: "),
        ({"models": "spvcnn_street"}, "models: Input should be a valid tuple"),
        ({"log_level": "loud"}, "log_level: Input should be 'debug', 'info'"),
        ({"input": {"pointcloud": "points"}}, "input.pointcloud: "),
        ({"input": {"lidar": "/points"}}, "unknown key 'input.lidar'"),
        ({"nodes": {"mapping": {}}}, "nodes: unknown key 'mapping' (known here: detection, segmentation)"),
        (
            {"nodes": {"segmentation": {"speed": 1}}},
            "nodes.segmentation.speed: unknown parameter (known here: always_run",
        ),
        ({"nodes": {"segmentation": {"max_points": "many"}}}, "max_points: expected int 1 to 1e+07, found 'many'"),
        ({"nodes": {"segmentation": {"max_points": 0}}}, "max_points: expected int 1 to 1e+07, found 0"),
        ({"nodes": {"segmentation": {"palette": "grey"}}}, "palette: expected string bundle, color_blind, probability"),
        (
            {"nodes": {"detection": {"class_min_scores": ["car"]}}},
            "nodes.detection.class_min_scores: 'car': write a class and a score from 0 to 1, such as car=0.4",
        ),
        ({"nodes": {"segmentation": {"filtered_classes": "car"}}}, "filtered_classes: expected string[]"),
        (
            {"nodes": {"segmentation": {"bundle": "x"}}},
            "nodes.segmentation.bundle: not set here; list the bundle under",
        ),
    ],
)
def test_a_wrong_file_is_one_line_with_file_and_key(tmp_path: Path, values: dict[str, Any], expected: str) -> None:
    file = config_file(tmp_path, **values)
    with pytest.raises(ConfigurationError) as error:
        described(f"config:={file}")
    assert str(error.value).startswith(f"{file}: ")
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("config:=/nowhere/robot.yaml", "/nowhere/robot.yaml: cannot be read"),
        ("models:=nix", "no bundle 'nix'"),
        ("models:=spvcnn_street,spvcnn_street", "models: spvcnn_street is named twice; keep one"),
        ("input/pointcloud:=points", "launch arguments: input.pointcloud: "),
        ("log_level:=loud", "launch arguments: log_level: "),
        ("bag:=/nowhere/bag", "/nowhere/bag: no such bag"),
    ],
)
def test_a_wrong_argument_is_one_line(word: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        described(word)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_rviz_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ConfigurationError, match="rviz2 is not installed"):
        described("rviz:=true")


def test_rviz_shows_the_layout_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/opt/ros/bin/{name}")
    rviz = described("rviz:=true").processes[-1]
    assert (rviz.package, rviz.executable) == ("rviz2", "rviz2")
    layout = yaml.safe_load(Path(rviz.arguments[1]).read_text())
    topics = [display.get("Topic", {}).get("Value") for display in layout["Visualization Manager"]["Displays"]]
    assert "/perception/segmentation/output/pointcloud/visualization" in topics
    assert "/perception/detection/output/markers" in topics
