"""The `perception` command: one subcommand a job, each in its own module."""

from __future__ import annotations

import argparse
import importlib
import sys

from perception import __version__
from perception.configuration import ConfigurationError

#: name -> (module with `add_arguments(parser)` and `run(arguments) -> exit code`, one line of help).
#: Modules are imported only when their command runs: `perception --help` needs neither ROS 2 nor PyTorch.
COMMANDS: dict[str, tuple[str, str]] = {
    "bringup": ("perception.bringup.command", "start the stack, as launch/bringup.launch.py does"),
    "replay": ("perception.nodes.replay", "publish a bag in real time, with /clock"),
    "simulate": ("perception.data.simulation.command", "make a labelled drive through a procedural street as a bag"),
    "convert": ("perception.data.convert", "make a bag from a SemanticKITTI, KITTI or nuScenes folder"),
    "train": ("perception.training.command", "train a network and write its bundle"),
    "export": ("perception.export.command", "make a bundle that runs without PyTorch, and compare it with PyTorch"),
    "compare": ("perception.evaluation.compare.command", "say what changed between two evaluations, or fail on it"),
    "inspect": ("perception.evaluation.inspection.command", "say what a bundle is, and what it costs on a cloud"),
    "calibrate": ("perception.evaluation.calibrate_command", "measure the ranges that a bundle needs to run in int8"),
    "benchmark": ("perception.evaluation.benchmark.command", "time a bundle on clouds, stage by stage"),
    "weights": ("perception.export.weights_command", "make a bundle of a published checkpoint"),
    "evaluate": ("perception.bringup.evaluate.command", "say how good and how fast networks are on bags"),
    "view": ("perception.bringup.view.command", "look at a bag, an evaluation, or a running robot"),
    "demo": ("perception.bringup.demo", "simulate, replay through the graph, and report"),
    "check-golden": ("perception.golden.command", "compare networks with the official ones, stage by stage"),
    "parameters": ("perception.ros.parameters_command", "print a node's parameters as a table"),
}


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; what a user can mend is one line on stderr and exit code 2."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="perception", description="3D perception for edge devices on ROS 2.")
    parser.add_argument("--version", action="version", version=f"perception {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    wanted = next((word for word in argv if not word.startswith("-")), None)
    for name, (module, help_line) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=help_line, description=help_line)
        if name == wanted:
            implementation = importlib.import_module(module)
            implementation.add_arguments(subparser)
    arguments = parser.parse_args(argv)
    try:
        return int(implementation.run(arguments))
    except ConfigurationError as error:
        print(f"perception {arguments.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
