"""`perception bringup [name:=value ...]`: what `ros2 launch perception bringup.launch.py` does, without launch."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from perception.bringup.arguments import arguments_text, parse_arguments
from perception.bringup.description import BringupDescription, ProcessDescription, describe
from perception.bringup.supervised import Command
from perception.bringup.supervisor import Supervisor
from perception.ros.middleware import prepare_environment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("arguments", nargs="*", metavar="name:=value", help="launch arguments, see --show-args")
    parser.add_argument("-s", "--show-args", action="store_true", help="list the launch arguments and exit")


def run(arguments: argparse.Namespace) -> int:
    """Bring the stack up, and supervise it until SIGINT, SIGTERM, or the end of the bag."""
    if arguments.show_args:
        print(arguments_text())
        return 0
    description = describe(parse_arguments(arguments.arguments))
    prepare_environment()
    with tempfile.TemporaryDirectory(prefix="perception_") as folder:
        parameter_file = Path(folder) / "parameters.yaml"
        parameter_file.write_text(description.parameters_yaml())
        return supervise(description, parameter_file)


def supervise(description: BringupDescription, parameter_file: Path) -> int:
    """Run what is described; the exit code."""
    # Imported here: rclpy reads the environment that was just prepared.
    from perception.bringup.status_publisher import StatusPublisher

    commands = [
        Command(process.name, command_words(process, parameter_file, description.log_level), process.ends_bringup)
        for process in description.processes
    ]
    use_sim_time = any(node.parameters["use_sim_time"] for node in description.nodes)
    status_publisher = StatusPublisher(use_sim_time)
    supervisor = Supervisor(commands, os.environ | {"PYTHONUNBUFFERED": "1"}, report=status_publisher.publish)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, supervisor.request_stop)
    try:
        return supervisor.run()
    finally:
        status_publisher.close()


def command_words(process: ProcessDescription, parameter_file: Path, log_level: str) -> tuple[str, ...]:
    """The command line of a process, as launch_ros would put it together."""
    program = (sys.executable, "-m", process.module) if process.module else (process.executable,)
    words = [*program, *process.arguments]
    if process.nodes:
        words += ["--ros-args", "--log-level", log_level, "--params-file", str(parameter_file)]
        words += ["-r", f"__ns:={process.namespace}"]
        words += ["-r", f"__node:={process.node_name}"] if process.node_name else []
        words += [word for old, new in process.remappings for word in ("-r", f"{old}:={new}")]
    return tuple(words)
