"""What the figures of a comparison do not say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perception.evaluation.compare.runs import Run
from perception.evaluation.results import ModelResults

UNPAIRED = "The runs did not see the same frames: each was resampled by itself, which makes intervals wider."


def notes_on_runs(first: Run, second: Run) -> Iterator[str]:
    """Say what is missing, and what else than the networks differs between two runs."""
    for run in (first, second):
        if not run.samples:
            yield f"{run.path} has no frames/ beside it: differences are without intervals."
        if run.results.run.partial:
            yield f"{run.path} was interrupted before its end."
    one, other = first.results.run, second.results.run
    if one.mode != other.mode:
        yield f"One run is {one.mode} and the other {other.mode}: their latencies mean different things."
    if one.machine.cpu != other.machine.cpu:
        yield f"They ran on different machines: {one.machine.cpu} and {other.machine.cpu}."
    if one.workers != other.workers:
        yield f"{one.workers} and {other.workers} frames at a time: the cores were not equally busy."


def notes_on_models(pairs: Sequence[tuple[ModelResults, ModelResults]]) -> Iterator[str]:
    """Say where figures of two networks do not mean the same."""
    for one, other in pairs:
        names = one.name if one.name == other.name else f"{one.name} and {other.name}"
        if one.task != other.task:
            yield f"{names}: one is for {one.task} and the other for {other.task}."
        labels = [model.segmentation.label_set for model in (one, other) if model.segmentation]
        if len(set(labels)) > 1:
            yield f"{names}: judged in different classes, {' and '.join(labels)}."
        criteria = [
            (model.detection.range_m, model.detection.least_points) for model in (one, other) if model.detection
        ]
        if len(set(criteria)) > 1:
            words = " and ".join(f"those within {range_m:g} m of {least} points" for range_m, least in criteria)
            yield f"{names}: different objects count, {words}."
