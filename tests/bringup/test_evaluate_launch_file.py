"""evaluate.launch.py runs the command that its arguments stand for."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import ModuleType

import pytest

from perception.bringup.evaluate.arguments import add_arguments
from perception.bringup.evaluate.launching import EVALUATE_ARGUMENTS, REQUIRED

sys.path.insert(0, str(Path(__file__).parent))

import stand_in_launch

DEFAULTS = {argument.name: argument.default for argument in EVALUATE_ARGUMENTS}


@pytest.fixture
def launch_file(top: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    stand_in_launch.install(monkeypatch)
    return stand_in_launch.load(top / "launch" / "evaluate.launch.py")


def parsed(launch_file: ModuleType, **values: str) -> argparse.Namespace:
    """What the command that the launch file runs with these arguments understands."""
    context = stand_in_launch.LaunchContext({**DEFAULTS, **values})
    (action,) = launch_file.start(context)
    assert action.cmd[:4] == [sys.executable, "-m", "perception.cli", "evaluate"]
    assert isinstance(action.on_exit, stand_in_launch.Shutdown)
    assert float(action.sigterm_timeout) >= 60
    assert not action.respawn
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(action.cmd[4:])


def test_it_declares_its_arguments_and_which_must_be_given(launch_file: ModuleType) -> None:
    declared = [
        entity
        for entity in launch_file.generate_launch_description().entities
        if isinstance(entity, stand_in_launch.DeclareLaunchArgument)
    ]
    assert [one.name for one in declared] == list(DEFAULTS)
    assert {one.name for one in declared if one.default_value is None} == set(REQUIRED)


def test_what_is_not_given_is_as_the_command_has_it(launch_file: ModuleType) -> None:
    arguments = parsed(launch_file, bag="drive", models="small")
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert arguments == parser.parse_args(["drive", "--online", "--models", "small"])


def test_every_argument_reaches_the_command(launch_file: ModuleType) -> None:
    given = {
        "truth": "labels", "rate": "0.5", "out": "results", "limit": "7",
        "input/pointcloud": "/velodyne", "device": "cuda:1", "config": "robot.yaml",
    }  # fmt: skip
    assert given.keys() == DEFAULTS.keys() - set(REQUIRED)
    arguments = parsed(launch_file, bag="a, b", models="small,boxes=large", **given)
    assert (arguments.bags, arguments.models) == ([Path("a"), Path("b")], ["small", "boxes=large"])
    assert (arguments.truth, arguments.out, arguments.config) == (Path("labels"), Path("results"), "robot.yaml")
    assert (arguments.rate, arguments.limit, arguments.device) == (0.5, 7, "cuda:1")
    assert (arguments.points_topic, arguments.online) == ("/velodyne", True)
