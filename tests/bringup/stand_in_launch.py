"""Small stand-ins for `launch` and `launch_ros`, which PyPI's ROS 2 lacks: they record what is constructed.

Only what those packages accept is accepted here: the signatures follow launch 3 and launch_ros 0.28.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


class LaunchDescription:
    def __init__(self, initial_entities: Iterable[Any] | None = None) -> None:
        self.entities = list(initial_entities or ())


class LaunchContext:
    def __init__(self, configurations: Mapping[str, str]) -> None:
        self.launch_configurations = dict(configurations)


class LaunchConfiguration:
    def __init__(self, variable_name: str, *, default: Any = None) -> None:
        self.variable_name = variable_name

    def perform(self, context: LaunchContext) -> str:
        return context.launch_configurations[self.variable_name]


class DeclareLaunchArgument:
    def __init__(
        self,
        name: str,
        *,
        default_value: str | None = None,
        description: str | None = None,
        choices: list[str] | None = None,
    ) -> None:
        # launch itself refuses this.
        assert choices is None or default_value in choices
        self.name, self.default_value, self.description, self.choices = name, default_value, description, choices


class OpaqueFunction:
    def __init__(self, *, function: Callable[..., list[Any] | None]) -> None:
        self.function = function


class Shutdown:
    def __init__(self, *, reason: str = "reason not given") -> None:
        self.reason = reason


class ExecuteProcess:
    def __init__(
        self,
        *,
        cmd: list[str],
        name: str | None = None,
        additional_env: dict[str, str] | None = None,
        output: str = "log",
        respawn: bool = False,
        respawn_delay: float | None = None,
        sigterm_timeout: str = "5",
        on_exit: Any = None,
    ) -> None:
        assert all(isinstance(word, str) for word in cmd)
        assert isinstance(sigterm_timeout, str)
        self.cmd, self.additional_env, self.output, self.sigterm_timeout = cmd, additional_env, output, sigterm_timeout
        self.respawn, self.respawn_delay, self.on_exit = respawn, respawn_delay, on_exit


class Node(ExecuteProcess):
    def __init__(
        self,
        *,
        executable: str,
        package: str | None = None,
        name: str | None = None,
        namespace: str | None = None,
        parameters: list[Any] | None = None,
        remappings: list[tuple[str, str]] | None = None,
        ros_arguments: list[str] | None = None,
        arguments: list[str] | None = None,
        **process: Any,
    ) -> None:
        super().__init__(cmd=[executable, *(arguments or [])], **process)
        self.package, self.executable, self.name, self.namespace = package, executable, name, namespace
        self.parameters, self.remappings = parameters, remappings
        self.arguments, self.ros_arguments = arguments, ros_arguments


def load(launch_file: Path) -> ModuleType:
    """Run a launch file, as `ros2 launch` does."""
    specification = importlib.util.spec_from_file_location(launch_file.stem.replace(".", "_"), launch_file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `import launch` and `import launch_ros` find the stand-ins."""
    modules = {
        "launch": {"LaunchDescription": LaunchDescription, "LaunchContext": LaunchContext},
        "launch.actions": {
            kind.__name__: kind for kind in (DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, Shutdown)
        },
        "launch.substitutions": {"LaunchConfiguration": LaunchConfiguration},
        "launch_ros": {},
        "launch_ros.actions": {"Node": Node},
    }
    for name, members in modules.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
