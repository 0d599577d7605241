"""The ten lines of the demo that matter, on the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from perception.evaluation.demo_results import DetectionResults, EvaluationResults, SegmentationResults
from perception.evaluation.report.demo_writing import METRICS_FILE


def print_summary(console: Console, results: EvaluationResults, report: Path) -> None:
    """Print the figures that a reader asks for first, and where the rest is."""
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in summary_lines(results, report):
        table.add_row(name, text)
    console.print()
    console.print(table)


def summary_lines(results: EvaluationResults, report: Path) -> list[tuple[str, str]]:
    """Name and text of each line."""
    run, segmentation, frames = results.run, results.segmentation, results.frames
    seeds = ", ".join(str(seed) for seed in run.seeds)
    lines = [
        ("network", f"{run.bundle}, on {run.machine.cpu} ({run.machine.cores} cores)"),
        (
            "drives",
            f"seeds {seeds}: {run.sensor}, {run.duration_s:g} s each at {run.rate_hz:g} Hz, unseen in training",
        ),
        ("accuracy", _accuracy(segmentation)),
        ("by class", _by_class(segmentation)),
        ("latency", _percentiles(results, "total") + " a frame"),
        ("network alone", _percentiles(results, "inference")),
        ("ROS overhead", _percentiles(results, "overhead")),
        ("frames", f"{frames.in_} in, {frames.out} out, {frames.dropped} dropped{_reasons(frames.dropped_by_reason)}"),
    ]
    if results.real_scan:
        score = _accuracy(results.real_scan.segmentation) if results.real_scan.segmentation else "no labels to compare"
        lines.append(("real scan", f"{results.real_scan.points:,} points, {score}"))
    if results.detection:
        lines.append(("objects", _detection(results.detection)))
    return [*lines, ("report", str(report)), ("figures", str(report.with_name(METRICS_FILE)))]


def _accuracy(segmentation: SegmentationResults) -> str:
    if segmentation.mean_iou is None or segmentation.accuracy is None:
        return "nothing to compare"
    return (
        f"[bold]mean IoU {segmentation.mean_iou:.3f}[/bold] over {len(segmentation.iou)} classes, "
        f"{100 * segmentation.accuracy:.1f} % of points right"
    )


def _by_class(segmentation: SegmentationResults) -> str:
    ranked = sorted(segmentation.iou.items(), key=lambda entry: -entry[1])
    if len(ranked) <= 5:
        return ", ".join(f"{name} {value:.2f}" for name, value in ranked)
    best, worst = (", ".join(f"{name} {value:.2f}" for name, value in part) for part in (ranked[:3], ranked[-2:]))
    return f"{best} ... {worst}"


def _detection(detection: DetectionResults) -> str:
    ranked = sorted(detection.average_precision.items(), key=lambda entry: -entry[1])
    by_class = ", ".join(f"{name} {value:.2f}" for name, value in ranked)
    found, summary = detection.mean_average_precision, detection.latency_ms.get("total")
    figures = "nothing to compare" if found is None else f"[bold]mAP {found:.3f}[/bold] ({by_class})"
    latency = "" if summary is None else f", median {summary.p50:.1f} ms"
    return f"{figures}, {detection.bundle}{latency}, {detection.frames.out} of {detection.frames.in_} frames"


def _percentiles(results: EvaluationResults, stage: str) -> str:
    summary = results.latency_ms.get(stage)
    if summary is None:
        return "not measured"
    return f"median {summary.p50:.1f} ms, p95 {summary.p95:.1f}, p99 {summary.p99:.1f}"


def _reasons(dropped: dict[str, int]) -> str:
    return f" ({', '.join(f'{reason} {count}' for reason, count in dropped.items())})" if dropped else ""
