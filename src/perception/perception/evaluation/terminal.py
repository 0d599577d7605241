"""An evaluation on the terminal: what a reader asks for first, and where the rest is."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from perception.evaluation.report.writing import METRICS_FILE
from perception.evaluation.results import BagDescription, EvaluationResults, ModelResults

#: Bags that are named one by one; of more, only those of which something was lost.
MOST_BAGS = 5


def print_results(console: Console, results: EvaluationResults, report: Path) -> None:
    """Print every network's headline figures, what was lost, and the notes."""
    console.print()
    console.print(_table(results))
    run = results.run
    frames, seconds = sum(bag.frames for bag in run.bags), sum(bag.duration_s for bag in run.bags)
    rate, workers = f"at rate {run.rate:g}" if run.rate else "", f"{run.workers} worker{'s' * (run.workers != 1)}"
    how = workers if run.workers else rate
    console.print(
        f"{len(run.bags)} bag{'s' * (len(run.bags) != 1)}, {frames} frames, {seconds:.1f} s of driving; "
        f"{run.mode}, {how + ', ' if how else ''}took {run.duration_s:.1f} s"
    )
    for bag in run.bags:
        if bag.losses or len(run.bags) <= MOST_BAGS:
            console.print(_bag(bag))
    for note in results.notes:
        console.print(Text(f"note: {note}", style="yellow"))
    console.print(Text(f"report  {report}\nfigures {report.with_name(METRICS_FILE)}"), soft_wrap=True)


def _table(results: EvaluationResults) -> Table:
    table = Table(title="partial evaluation" if results.run.partial else None, title_style="bold red")
    table.add_column("network", overflow="fold")
    table.add_column("quality")
    stage = "stamp to result" if results.run.mode == "online" else "a frame"
    for title in (f"ms {stage}\np50 / p99 / max", "results/s", "frames\nout of in"):
        table.add_column(title, justify="right")
    table.add_column("dropped")
    for model in results.models:
        table.add_row(
            model.name,
            _quality(model),
            _latency(model),
            "-" if model.rate_hz is None else f"{model.rate_hz:.1f}",
            f"{model.frames.out} / {model.frames.in_}",
            "\n".join(f"{count} {reason}" for reason, count in model.frames.dropped_by_reason.items()) or "none",
        )
    return table


def _quality(model: ModelResults) -> str:
    labels, objects = model.segmentation, model.detection
    if labels is not None and labels.mean_iou is not None:
        return f"[bold]mIoU {labels.mean_iou:.3f}[/bold]\naccuracy {labels.accuracy:.3f}"
    if objects is not None and objects.mean_average_precision is not None:
        score = objects.nuscenes_detection_score
        return f"[bold]mAP {objects.mean_average_precision:.3f}[/bold]" + (
            "" if score is None else f"\nNDS {score:.3f}"
        )
    return "no truth"


def _latency(model: ModelResults) -> str:
    stage = model.latency_ms.get("end_to_end") or model.latency_ms.get("total")
    return "-" if stage is None else f"{stage.p50:.1f} / {stage.p99:.1f} / {stage.max:.1f}"


def _bag(bag: BagDescription) -> Text:
    truth = f"{bag.labelled_frames} with labels, {bag.frames_with_objects} with objects"
    text = Text(f"  {bag.name}: {bag.frames} frames, {truth}")
    for loss in bag.losses:
        text.append(f"\n    lost: {loss}", style="yellow")
    return text
