"""Evaluate bags, offline or online, and say how it went."""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Sequence

from rich.console import Console

from perception.bringup.evaluate.arguments import add_arguments, topics_of
from perception.bringup.evaluate.deployment import Deployment
from perception.configuration import ConfigurationError
from perception.data.recorded_drive import RecordedDrive
from perception.evaluation.gates import failed_gates, parse_gates
from perception.evaluation.models import EvaluatedModel, find_models, unique_names
from perception.evaluation.offline.command import evaluate_offline
from perception.evaluation.offline.network import NetworkSettings
from perception.evaluation.run import Evaluated
from perception.evaluation.terminal import print_results

__all__ = ["add_arguments", "run"]

#: Columns where there is no terminal to ask.
LOG_WIDTH = 120
MOST_FILES = 65_536


def run(arguments: argparse.Namespace) -> int:
    """Evaluate; 0 when frames came out and no condition failed, 1 otherwise, 128 and the signal when interrupted."""
    _allow_many_files()
    parse_gates(arguments.fail_if)  # a mistake there is told before the work, not after it
    models = find_models(arguments.models)
    deployment = Deployment.read(arguments.config)
    drives = open_drives(arguments, deployment.fixed_frame)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = LOG_WIDTH
    evaluated = _evaluate(arguments, deployment, drives, models, console)
    print_results(console, evaluated.results, evaluated.report)
    return _exit_code(evaluated, arguments.fail_if)


def _allow_many_files() -> None:
    """Each bag keeps files open, and a process may have 1024 at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def open_drives(arguments: argparse.Namespace, fixed_frame: str) -> list[RecordedDrive]:
    """Open the bags; those of the same name are numbered.

    Raises:
        ConfigurationError: one cannot be read at all, or lacks a topic.
    """
    topics = topics_of(arguments)
    drives = [
        RecordedDrive(bag, arguments.points_topic, topics, arguments.truth, fixed_frame=fixed_frame)
        for bag in arguments.bags
    ]
    for drive, name in zip(drives, unique_names(drive.name for drive in drives), strict=True):
        drive.name = name
    return drives


def _evaluate(
    arguments: argparse.Namespace,
    deployment: Deployment,
    drives: Sequence[RecordedDrive],
    models: Sequence[EvaluatedModel],
    console: Console,
) -> Evaluated:
    if not arguments.online:
        networks = NetworkSettings(arguments.device, deployment.clouds, deployment.max_sweep_age_s)
        return evaluate_offline(arguments, drives, models, networks, console)
    if arguments.ray is not None:
        raise ConfigurationError("--ray: the graph runs on one machine; leave out --ray or --online")
    # Only now: an offline evaluation needs no ROS 2.
    from perception.bringup.evaluate.online_mode import evaluate_online

    return evaluate_online(arguments, drives, models, console)


def _exit_code(evaluated: Evaluated, conditions: Sequence[str]) -> int:
    if evaluated.signal:
        return 128 + evaluated.signal
    problems = [evaluated.problem] if evaluated.problem else failed_gates(evaluated.results, conditions)
    if not any(model.frames.out for model in evaluated.results.models):
        problems = [*problems, "no frame could be evaluated"]
    for problem in problems:
        print(f"perception evaluate: {problem}", file=sys.stderr)
    return int(bool(problems))
