"""The offline mode of `perception evaluate`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console

from perception.data.recorded_drive import RecordedDrive
from perception.evaluation.criteria import DetectionCriteria
from perception.evaluation.models import EvaluatedModel
from perception.evaluation.offline.network import NetworkSettings
from perception.evaluation.offline.on_ray import RemoteDrive, connected, ray_outcomes
from perception.evaluation.offline.outcomes import OfflineOptions, offline_outcomes
from perception.evaluation.resources import ResourceSampler
from perception.evaluation.result_bags import ResultBags
from perception.evaluation.results import ResourceUsage
from perception.evaluation.run import Evaluated, Evaluation, evaluate

SHARED_RESOURCES = (
    "Cores and memory are those of all networks and workers together, which took turns in the same processes."
)


def evaluate_offline(
    arguments: argparse.Namespace,
    drives: Sequence[RecordedDrive],
    models: Sequence[EvaluatedModel],
    networks: NetworkSettings,
    console: Console,
) -> Evaluated:
    """Give every frame of every bag to every network, as the command line says; see `evaluate`."""
    problems: dict[tuple[str, str], str] = {}
    options = OfflineOptions(
        workers=arguments.workers or _default_workers(arguments.device),
        limit=arguments.limit,
        label_set=arguments.label_set,
        criteria=DetectionCriteria(range_m=arguments.range_m, least_points=arguments.least_points),
        networks=networks,
        on_problem=lambda model, reason, problem: problems.setdefault((model, reason), problem),
    )
    with ResourceSampler(device=arguments.device) as sampler:

        def resources() -> dict[str, ResourceUsage]:
            usage = sampler.usage()
            return {} if usage is None or arguments.ray else {model.name: usage for model in models}

        evaluation = Evaluation(
            out=arguments.out,
            models=models,
            drives=drives,
            mode="offline",
            workers=options.workers,
            limit=options.limit,
            criteria=options.criteria,
            notes=(SHARED_RESOURCES,) * (len(models) > 1),
            problems=problems,
            resources=resources,
            sinks=[ResultBags(arguments.out / "bags", drives, models)] if arguments.write_bags else [],
        )
        if arguments.ray is None:
            return evaluate(evaluation, offline_outcomes(drives, models, options), console)
        remote = [RemoteDrive(drive) for drive in drives]
        console.print("starting Ray")
        with connected(arguments.ray, options.workers) as ray:
            return evaluate(replace(evaluation, drives=remote), ray_outcomes(ray, remote, models, options), console)


def _default_workers(device: str) -> int:
    """One a core; one on a GPU, which several would only share, each with all networks in its memory."""
    return len(os.sched_getaffinity(0)) if device == "cpu" else 1
