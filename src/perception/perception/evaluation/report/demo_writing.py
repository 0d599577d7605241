"""The report of an evaluation: one HTML file that needs nothing else, and metrics.json with the same figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from perception.evaluation.demo_results import EvaluationResults
from perception.evaluation.report.charts import STAGE_COLORS, confusion_rows, histogram, timeline
from perception.evaluation.report.detection_pictures import TRUTH_COLOR, DetectedScan, detection_view
from perception.evaluation.report.panels import LabelledScan, draw_panels
from perception.evaluation.report.pictures import WRONG
from perception.evaluation.report.writing import METRICS_FILE, REPORT_FILE, data_uri


@dataclass(frozen=True)
class ReportInputs:
    """Everything that the report shows.

    Attributes:
        results: the figures.
        colors: name of each class -> RGB.
        scans: labelled frames to draw, two or three.
        frame_stages_ms: for every labelled frame, the milliseconds of each stage, not overlapping; they sum to
            the frame's total.
        real_scan: a real scan to draw, if there was one.
        detections: frames with the objects that were found in them, to draw.
        notes: sentences about what the figures do not say.
    """

    results: EvaluationResults
    colors: Mapping[str, tuple[int, int, int]]
    scans: Sequence[LabelledScan]
    frame_stages_ms: Sequence[Mapping[str, float]]
    real_scan: LabelledScan | None = None
    detections: Sequence[DetectedScan] = ()
    notes: Sequence[str] = ()


def write_report(folder: Path, inputs: ReportInputs) -> Path:
    """Write report.html and metrics.json into `folder`; gives the report's path."""
    folder.mkdir(parents=True, exist_ok=True)
    inputs.results.write(folder / METRICS_FILE)
    report = folder / REPORT_FILE
    report.write_text(render(inputs), encoding="utf-8")
    return report


def render(inputs: ReportInputs) -> str:
    """The report as HTML."""
    environment = Environment(
        loader=PackageLoader("perception.evaluation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"rgb": _css_color, "data_uri": data_uri, "thousands": lambda number: f"{number:,}"}
    results = inputs.results
    columns, rows = confusion_rows(results.segmentation.classes, results.segmentation.confusion)
    return environment.get_template("demo.html.j2").render(
        results=results,
        inputs=inputs,
        scans=[(scan, draw_panels(scan)) for scan in inputs.scans],
        real_scan=(inputs.real_scan, draw_panels(inputs.real_scan)) if inputs.real_scan else None,
        detections=[(scan, detection_view(scan)) for scan in inputs.detections],
        wrong=WRONG,
        truth_color=TRUTH_COLOR,
        stage_colors=_stage_colors(inputs.frame_stages_ms),
        timeline=timeline(inputs.frame_stages_ms),
        histogram=histogram([sum(stages.values()) for stages in inputs.frame_stages_ms]),
        confusion_columns=columns,
        confusion_rows=rows,
    )


def _css_color(color: Sequence[int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def _stage_colors(frames: Sequence[Mapping[str, float]]) -> dict[str, str]:
    stages = dict.fromkeys(stage for frame in frames for stage in frame)
    return {stage: STAGE_COLORS[index % len(STAGE_COLORS)] for index, stage in enumerate(stages)}
