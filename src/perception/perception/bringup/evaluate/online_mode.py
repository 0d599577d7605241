"""The online mode of `perception evaluate`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Generator, Mapping, Sequence

from rich.console import Console

from perception.bringup.evaluate.online import OnlineOptions, online_outcomes
from perception.bringup.graph.children import GraphError
from perception.bringup.graph.running import GraphOptions
from perception.configuration import ConfigurationError
from perception.data.recorded_drive import RecordedDrive
from perception.evaluation.criteria import DetectionCriteria
from perception.evaluation.judging import Judge
from perception.evaluation.models import EvaluatedModel
from perception.evaluation.resources import UsageLog
from perception.evaluation.result_bags import ResultBags
from perception.evaluation.run import Evaluated, Evaluation, Judged, evaluate

SHARED_GRAPH = (
    "All networks ran at the same time, as on a robot: they shared the processor, and cores and memory are those of "
    "all of them together."
)


def evaluate_online(
    arguments: argparse.Namespace, drives: Sequence[RecordedDrive], models: Sequence[EvaluatedModel], console: Console
) -> Evaluated:
    """Play every bag to the nodes of every network, as the command line says; see `evaluate`."""
    # A second SIGTERM, like a second Ctrl-C, leaves every `with` block, so that no process of the graph is left.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    problems: dict[tuple[str, str], str] = {}
    log = UsageLog(arguments.device)
    options = OnlineOptions(
        graph=GraphOptions(arguments.out / "logs", arguments.config, arguments.device),
        rate=arguments.rate,
        limit=arguments.limit,
        on_problem=lambda model, reason, problem: problems.setdefault((model, reason), problem),
        watch=log.watch,
        say=lambda text: console.print(text, markup=False),
    )
    criteria = DetectionCriteria(range_m=arguments.range_m, least_points=arguments.least_points)
    judges = {model.name: Judge.of_bundle(model.description, arguments.label_set, criteria) for model in models}
    evaluation = Evaluation(
        out=arguments.out,
        models=models,
        drives=drives,
        mode="online",
        rate=options.rate,
        limit=options.limit,
        criteria=criteria,
        notes=(SHARED_GRAPH,) * (len(models) > 1),
        problems=problems,
        sinks=[ResultBags(arguments.out / "bags", drives, models)] if arguments.write_bags else [],
        resources=lambda: {} if (usage := log.usage()) is None else {model.name: usage for model in models},
    )
    return evaluate(evaluation, _judged(drives, models, options, judges), console)


def _judged(
    drives: Sequence[RecordedDrive],
    models: Sequence[EvaluatedModel],
    options: OnlineOptions,
    judges: Mapping[str, Judge],
) -> Generator[Judged, None, None]:
    try:
        for outcome in online_outcomes(drives, models, options):
            yield outcome, judges[outcome.model].judge(outcome)
    except GraphError as error:
        raise ConfigurationError(f"{error.sentence} (the logs are in {options.graph.logs})") from error
