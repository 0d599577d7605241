"""Start the stack: `ros2 launch perception bringup.launch.py [name:=value ...]`.

What is started is described once, in perception.bringup.description; `perception bringup` starts the same.
"""

import os
import sys
import tempfile
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from perception.bringup.arguments import ARGUMENTS
from perception.bringup.description import BringupDescription, ProcessDescription, describe
from perception.configuration import ConfigurationError
from perception.ros.middleware import prepare_environment

RESPAWN_DELAY_S = 2.0


def generate_launch_description() -> LaunchDescription:
    declarations = [
        DeclareLaunchArgument(
            argument.name,
            default_value=argument.default,
            description=argument.description,
            choices=list(argument.choices) or None,
        )
        for argument in ARGUMENTS
    ]
    return LaunchDescription([*declarations, OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list:
    values = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    try:
        description = describe(values)
    except ConfigurationError as error:
        raise RuntimeError(str(error)) from None
    parameter_file = Path(tempfile.mkdtemp(prefix="perception_")) / "parameters.yaml"
    parameter_file.write_text(description.parameters_yaml())
    return [action(process, description, parameter_file) for process in description.processes]


def action(process: ProcessDescription, description: BringupDescription, parameter_file: Path) -> ExecuteProcess:
    """One process; it is respawned, unless its end is the end of the launch."""
    ends = {"on_exit": Shutdown(reason=f"{process.name} has ended")}
    lifetime = ends if process.ends_bringup else {"respawn": True, "respawn_delay": RESPAWN_DELAY_S}
    common = {"output": "screen", "additional_env": middleware_settings(), **lifetime}
    if not process.executable:
        return ExecuteProcess(cmd=[sys.executable, "-m", process.module, *process.arguments], **common)
    if not process.nodes:
        return Node(package=process.package, executable=process.executable, arguments=list(process.arguments), **common)
    return Node(
        package=process.package,
        executable=process.executable,
        name=process.node_name,
        namespace=process.namespace,
        parameters=[str(parameter_file)],
        remappings=process.remappings,
        arguments=list(process.arguments),
        ros_arguments=["--log-level", description.log_level],
        **common,
    )


def middleware_settings() -> dict[str, str]:
    """What the processes' environment needs beyond that of the launch itself."""
    environment = dict(os.environ)
    prepare_environment(environment)
    return {name: value for name, value in environment.items() if os.environ.get(name) != value}
