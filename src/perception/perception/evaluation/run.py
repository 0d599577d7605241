"""An evaluation from beginning to end: records as they come, then figures and a report, also after Ctrl-C."""

from __future__ import annotations

import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, Protocol

from rich.console import Console

from perception.configuration import ConfigurationError
from perception.evaluation.caveats import caveats
from perception.evaluation.criteria import DetectionCriteria
from perception.evaluation.drives import EvaluatedDrive
from perception.evaluation.interruption import Interruption
from perception.evaluation.machine import describe_machine
from perception.evaluation.models import EvaluatedModel
from perception.evaluation.outcomes import FrameOutcome
from perception.evaluation.progress import frame_progress
from perception.evaluation.records import FrameRecord, RecordWriter, read_records
from perception.evaluation.report.worst_frames import WorstFrames
from perception.evaluation.report.writing import write_report
from perception.evaluation.results import BagDescription, EvaluationResults, ResourceUsage, RunDescription
from perception.evaluation.summary import summarize

FRAMES_FOLDER = "frames"
Judged = tuple[FrameOutcome, FrameRecord]


class Sink(AbstractContextManager[Any], Protocol):
    """Takes every outcome; a `with` block."""

    def add(self, outcome: FrameOutcome) -> None:
        """Take one."""


@dataclass(frozen=True)
class Evaluation:
    """What is evaluated, and where the results go.

    Attributes:
        out: the folder of metrics.json, report.html, frames/ and pictures/.
        models: the networks.
        drives: what is read.
        mode, workers, rate: as of RunDescription.
        limit: frames of each bag at most; None: all.
        criteria: which objects count.
        notes: sentences about what the figures do not say.
        problems: of a network and a reason for drops, what was said first; read in the end.
        resources: what each network took, by name; asked in the end.
        sinks: take every outcome as well.
    """

    out: Path
    models: Sequence[EvaluatedModel]
    drives: Sequence[EvaluatedDrive]
    mode: Literal["offline", "online"]
    workers: int | None = None
    rate: float | None = None
    limit: int | None = None
    criteria: DetectionCriteria = field(default_factory=DetectionCriteria)
    notes: Sequence[str] = ()
    problems: Mapping[tuple[str, str], str] = field(default_factory=dict)
    resources: Callable[[], Mapping[str, ResourceUsage]] = dict
    sinks: Sequence[Sink] = ()


@dataclass(frozen=True)
class Evaluated:
    """How an evaluation ended.

    Attributes:
        results: as in metrics.json.
        report: the page.
        signal: the number of the signal that ended it early; 0: none.
        problem: why it ended early, where that was no signal; empty where it did not.
    """

    results: EvaluationResults
    report: Path
    signal: int = 0
    problem: str = ""


def evaluate(evaluation: Evaluation, stream: Generator[Judged, None, None], console: Console) -> Evaluated:
    """Run an evaluation, and write everything about it.

    Args:
        evaluation: what is evaluated.
        stream: outcomes and records, such as `offline_outcomes`; those of a bag in the order of its frames. It is
            closed in the end.
        console: shows progress.

    Raises:
        ConfigurationError: the stream ended with one before anything came.
    """
    started_s = time.monotonic()
    worst, tally = WorstFrames(evaluation.models, criteria=evaluation.criteria), _Tally()
    files = _new_files(evaluation)
    problem = ""
    with Interruption() as interruption, ExitStack() as stack:
        writers = {name: stack.enter_context(RecordWriter(path)) for name, path in files.items()}
        sinks = [stack.enter_context(sink) for sink in evaluation.sinks]
        progress = stack.enter_context(frame_progress(console, _expected(evaluation)))
        try:
            for outcome, record in interruption.items(stream):
                writers[record.bag].write(record)
                worst.add(outcome, record)
                tally.add(outcome)
                for sink in sinks:
                    sink.add(outcome)
                progress.advance(record.bag, bool(record.dropped))
        except ConfigurationError as error:
            if not tally.frames:
                raise
            problem = str(error)
    partial = bool(interruption.signal or problem)
    run = _describe_run(evaluation, tally, partial, time.monotonic() - started_s)
    records, used = read_records(files.values()), evaluation.resources()
    with console.status("making the figures"):
        models = summarize(records, evaluation.models, used, evaluation.criteria)
    notes = (*_notes(evaluation, interruption.signal, problem), *caveats(models))
    results = EvaluationResults(run=run, models=models, notes=notes)
    with console.status("drawing the report"):
        report = write_report(evaluation.out, results, worst, list(files.values()))
    return Evaluated(results, report, interruption.signal, problem)


class _Tally:
    """What came of each bag; a frame comes once from every network."""

    def __init__(self) -> None:
        self.frames: Counter[tuple[str, str]] = Counter()
        self.labelled: Counter[tuple[str, str]] = Counter()
        self.with_objects: Counter[tuple[str, str]] = Counter()

    def add(self, outcome: FrameOutcome) -> None:
        key = outcome.bag, outcome.model
        self.frames[key] += 1
        self.labelled[key] += outcome.frame.class_ids is not None
        self.with_objects[key] += outcome.frame.objects is not None

    def describe(self, bag: EvaluatedDrive, models: Sequence[EvaluatedModel]) -> BagDescription:
        counters = (self.frames, self.labelled, self.with_objects)
        frames, labelled, with_objects = (max(counter[bag.name, one.name] for one in models) for counter in counters)
        return BagDescription(
            name=bag.name,
            frames=frames,
            duration_s=bag.duration_s,
            losses=tuple(bag.losses),
            labelled_frames=labelled,
            frames_with_objects=with_objects,
        )


def _new_files(evaluation: Evaluation) -> dict[str, Path]:
    """Where the records of each bag go, in place of an earlier run's: bags may come at the same time, in any order."""
    folder = evaluation.out / FRAMES_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for outdated in folder.glob("*.jsonl"):
        outdated.unlink()
    return {drive.name: folder / f"{drive.name}.jsonl" for drive in evaluation.drives}


def _expected(evaluation: Evaluation) -> int:
    most = evaluation.limit
    frames = (bag.expected_frames for bag in evaluation.drives)
    return len(evaluation.models) * sum(count if most is None else min(count, most) for count in frames)


def _describe_run(evaluation: Evaluation, tally: _Tally, partial: bool, duration_s: float) -> RunDescription:
    return RunDescription(
        command=shlex.join(["perception", *sys.argv[1:]]),
        created=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        mode=evaluation.mode,
        partial=partial,
        bags=tuple(tally.describe(bag, evaluation.models) for bag in evaluation.drives),
        rate=evaluation.rate,
        workers=evaluation.workers,
        duration_s=duration_s,
        machine=describe_machine(),
    )


def _notes(evaluation: Evaluation, number: int, problem: str) -> Iterator[str]:
    if number:
        yield "The run was interrupted: the figures are of the frames that were done by then."
    if problem:
        yield f"The run ended early: {problem}. The figures are of the frames that were done by then."
    yield from evaluation.notes
    for (model, reason), text in evaluation.problems.items():
        yield f"{model}: {reason}, the first time: {text}."
