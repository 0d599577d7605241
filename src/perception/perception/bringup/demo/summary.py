"""The ten lines of the demo that matter, on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from perception.bringup.demo.evaluation import RealScan
from perception.bringup.demo.settings import DemoSettings
from perception.evaluation.report.writing import METRICS_FILE
from perception.evaluation.results import DetectionResults, EvaluationResults, ModelResults, SegmentationResults


def print_summary(
    console: Console, settings: DemoSettings, results: EvaluationResults, report: Path, real: RealScan | None
) -> None:
    """Print the figures that a reader asks for first, and where the rest is."""
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in summary_lines(settings, results, report, real):
        table.add_row(name, text)
    console.print()
    console.print(table)


def summary_lines(
    settings: DemoSettings, results: EvaluationResults, report: Path, real: RealScan | None = None
) -> list[tuple[str, str]]:
    """Name and text of each line."""
    network, machine, frames = results.models[0], results.run.machine, results.models[0].frames
    lines = [
        ("network", f"{network.bundle}, on {machine.cpu} ({machine.cores} cores)"),
        ("drives", _drives(settings)),
        ("accuracy", _accuracy(network.segmentation)),
        ("by class", _by_class(network.segmentation.iou if network.segmentation else {})),
        ("latency", _percentiles(network, "end_to_end") + " from a cloud to its labels"),
        ("network alone", _percentiles(network, "inference")),
        ("ROS overhead", _percentiles(network, "overhead")),
        ("frames", f"{frames.in_} in, {frames.out} out, {frames.dropped} dropped{_reasons(frames.dropped_by_reason)}"),
    ]
    if results.run.partial:
        lines.insert(0, ("partial", "[bold red]interrupted: the figures are of what was done until then[/bold red]"))
    if real:
        score = _accuracy(real.segmentation) if real.segmentation else "no labels to compare"
        lines.append(("real scan", f"{real.points:,} points, {score if real.out else 'did not come out'}"))
    lines += [("objects", _objects(model)) for model in results.models[1:]]
    return [*lines, ("report", str(report)), ("figures", str(report.with_name(METRICS_FILE)))]


def _drives(settings: DemoSettings) -> str:
    seeds = ", ".join(map(str, settings.seeds))
    how = f"{settings.sensor}, {settings.duration_s:g} s each at {settings.rate_hz:g} Hz"
    return f"seeds {seeds}: {how}, unseen in training"


def _accuracy(segmentation: SegmentationResults | None) -> str:
    if segmentation is None or segmentation.mean_iou is None or segmentation.accuracy is None:
        return "nothing to compare"
    return (
        f"[bold]mean IoU {segmentation.mean_iou:.3f}[/bold] over {len(segmentation.iou)} classes, "
        f"{100 * segmentation.accuracy:.1f} % of points right"
    )


def _by_class(figures: Mapping[str, float]) -> str:
    ranked = sorted(figures.items(), key=lambda entry: -entry[1])
    if len(ranked) <= 5:
        return ", ".join(f"{name} {value:.2f}" for name, value in ranked)
    best, worst = (", ".join(f"{name} {value:.2f}" for name, value in part) for part in (ranked[:3], ranked[-2:]))
    return f"{best} ... {worst}"


def _objects(model: ModelResults) -> str:
    summary = model.latency_ms.get("end_to_end")
    latency = "" if summary is None else f", median {summary.p50:.1f} ms"
    return f"{_precision(model.detection)}, {model.bundle}{latency}, {model.frames.out} of {model.frames.in_} frames"


def _precision(detection: DetectionResults | None) -> str:
    if detection is None or detection.mean_average_precision is None:
        return "nothing to compare"
    ranked = sorted(detection.by_class.items(), key=lambda entry: -entry[1].average_precision)
    by_class = ", ".join(f"{name} {figures.average_precision:.2f}" for name, figures in ranked)
    return f"[bold]mAP {detection.mean_average_precision:.3f}[/bold] ({by_class})"


def _percentiles(model: ModelResults, stage: str) -> str:
    summary = model.latency_ms.get(stage)
    if summary is None:
        return "not measured"
    return f"median {summary.p50:.1f} ms, p95 {summary.p95:.1f}, p99 {summary.p99:.1f}"


def _reasons(dropped: Mapping[str, int]) -> str:
    return f" ({', '.join(f'{reason} {count}' for reason, count in dropped.items())})" if dropped else ""
