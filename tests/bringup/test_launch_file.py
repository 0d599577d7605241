"""bringup.launch.py constructs what the description says, for each way of starting."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from perception.bringup.arguments import ARGUMENTS, parse_arguments
from perception.bringup.description import BringupDescription, ProcessDescription, describe

sys.path.insert(0, str(Path(__file__).parent))

import stand_in_launch


@pytest.fixture
def launch_file(top: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    stand_in_launch.install(monkeypatch)
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("RMW_IMPLEMENTATION", "ROS_DISTRO"):
        monkeypatch.delenv(name, raising=False)
    return stand_in_launch.load(top / "launch" / "bringup.launch.py")


def launched(module: ModuleType, *words: str) -> tuple[BringupDescription, list[Any]]:
    """What the description says and what the launch file constructs for the same arguments."""
    values = parse_arguments(words)
    (opaque,) = [
        entity
        for entity in module.generate_launch_description().entities
        if isinstance(entity, stand_in_launch.OpaqueFunction)
    ]
    return describe(values), opaque.function(stand_in_launch.LaunchContext(values))


def check_process(process: ProcessDescription, action: Any) -> None:
    """What holds for every process."""
    assert action.output == "screen"
    assert Path(action.additional_env["FASTDDS_DEFAULT_PROFILES_FILE"]).is_file()
    assert action.respawn is not process.ends_bringup
    assert isinstance(action.on_exit, stand_in_launch.Shutdown) is process.ends_bringup


def test_it_declares_the_arguments_of_the_command(launch_file: ModuleType) -> None:
    declared = [
        entity
        for entity in launch_file.generate_launch_description().entities
        if isinstance(entity, stand_in_launch.DeclareLaunchArgument)
    ]
    assert [(one.name, one.default_value, one.description, tuple(one.choices or ())) for one in declared] == [
        (one.name, one.default, one.description, one.choices) for one in ARGUMENTS
    ]


@pytest.mark.parametrize("composed", ["true", "false"])
def test_it_starts_what_the_description_says(launch_file: ModuleType, composed: str) -> None:
    description, actions = launched(launch_file, f"composed:={composed}", "log_level:=warn")
    assert len(actions) == len(description.processes)
    for process, action in zip(description.processes, actions, strict=True):
        check_process(process, action)
        assert isinstance(action, stand_in_launch.Node)
        assert (action.package, action.executable) == ("perception", process.executable)
        assert (action.name, action.namespace) == (process.node_name, process.namespace)
        assert tuple(action.arguments) == process.arguments
        assert action.remappings == process.remappings
        assert action.ros_arguments == ["--log-level", "warn"]
        (parameter_file,) = action.parameters
        assert Path(parameter_file).read_text() == description.parameters_yaml()


def test_rviz_runs_beside(launch_file: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/opt/ros/bin/{name}")
    description, actions = launched(launch_file, "rviz:=true")
    rviz, action = description.processes[-1], actions[-1]
    check_process(rviz, action)
    assert (action.package, action.executable, tuple(action.arguments)) == ("rviz2", "rviz2", rviz.arguments)


def test_build_only_is_a_node_that_ends_the_launch(launch_file: ModuleType) -> None:
    description, (action,) = launched(launch_file, "build_only:=true")
    (build,) = description.processes
    check_process(build, action)
    assert (action.executable, tuple(action.arguments)) == ("container", build.arguments)


def test_a_wrong_argument_is_an_error_with_the_same_line(launch_file: ModuleType) -> None:
    context = stand_in_launch.LaunchContext(parse_arguments(["models:=nix"]))
    with pytest.raises(RuntimeError, match="no bundle 'nix'"):
        launch_file.start(context)
