"""The demo's evaluation: one network after the other in the real graph, each over all drives."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console

from perception.bringup.demo.settings import DemoSettings
from perception.bringup.evaluate.online import OnlineOptions, online_outcomes
from perception.bringup.graph.running import GraphOptions
from perception.configuration import ConfigurationError
from perception.data.recorded_drive import RecordedDrive
from perception.evaluation.judging import Judge
from perception.evaluation.models import EvaluatedModel, find_models
from perception.evaluation.records import read_records
from perception.evaluation.resources import UsageLog
from perception.evaluation.results import SegmentationResults
from perception.evaluation.run import FRAMES_FOLDER, Evaluated, Evaluation, Judged, evaluate
from perception.evaluation.summary import summarize

NOTES = (
    "The drives are simulated: streets, sensor and noise are models. The seeds are none that training saw, but "
    "they come from the same generator, so a real street is harder than these figures say.",
    "Quality is over the frames that came out. The networks were given no time that a robot would not have: clouds "
    "that came while one was busy were dropped, as they would be on the road.",
    "Each network ran alone, in a pass of its own over all drives. The replay, the recorder and the node shared the "
    "processor, so latencies are higher than the node's alone.",
)
SCAN_NOTE = (
    "{name} is a real scan, sent {copies} times, and counts in all figures. The networks learned from simulated "
    "streets only: it shows how far that carries, and is no benchmark."
)


@dataclass(frozen=True)
class RealScan:
    """What became of the real scan, each time it was sent.

    Attributes:
        points: of the scan.
        out: how often it came out.
        segmentation: how well its points were labelled; None without labels to compare.
    """

    points: int
    out: int
    segmentation: SegmentationResults | None


def find_networks(settings: DemoSettings) -> tuple[EvaluatedModel, ...]:
    """Find the network that labels points, and the one that finds objects if there shall be one.

    Raises:
        ConfigurationError: there is no such bundle, or it is for something else.
    """
    wanted = {"--bundle": (settings.bundle, "segmentation"), "--detector": (settings.detector, "detection")}
    given = {option: choice for option, choice in wanted.items() if choice[0]}
    models = find_models([word for word, _ in given.values()])
    for model, (option, (word, task)) in zip(models, given.items(), strict=True):
        if model.description.task != task:
            raise ConfigurationError(
                f"{option} {word}: this network is for {model.description.task}; name one for {task}"
            )
    return models


def evaluate_drives(
    settings: DemoSettings,
    models: Sequence[EvaluatedModel],
    drives: Sequence[RecordedDrive],
    notes: Sequence[str],
    console: Console,
) -> Evaluated:
    """Send all drives through the graph, once for each network, and write the report.

    Raises:
        GraphError: the graph failed.
    """
    used = {model.name: UsageLog() for model in models}
    evaluation = Evaluation(
        out=settings.out,
        models=models,
        drives=drives,
        mode="online",
        rate=settings.rate,
        notes=notes,
        resources=lambda: {name: usage for name, log in used.items() if (usage := log.usage())},
    )
    return evaluate(evaluation, _passes(settings, models, drives, used, console), console)


def real_scan(settings: DemoSettings, model: EvaluatedModel, bag: str) -> RealScan:
    """Say what became of a bag that holds a real scan."""
    records = [one for one in read_records([settings.out / FRAMES_FOLDER / f"{bag}.jsonl"]) if one.model == model.name]
    (results,) = summarize(records, [model])
    return RealScan(max((one.points for one in records), default=0), results.frames.out, results.segmentation)


def _passes(
    settings: DemoSettings,
    models: Sequence[EvaluatedModel],
    drives: Sequence[RecordedDrive],
    used: Mapping[str, UsageLog],
    console: Console,
) -> Generator[Judged, None, None]:
    for model in models:
        options = OnlineOptions(
            GraphOptions(settings.logs / model.description.task),
            settings.rate,
            say=lambda text: console.print(text, markup=False),
            watch=used[model.name].watch,
        )
        judge = Judge.of_bundle(model.description)
        for outcome in online_outcomes(drives, [model], options):
            yield outcome, judge.judge(outcome)
