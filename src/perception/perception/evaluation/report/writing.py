"""The report of an evaluation: one HTML page that needs nothing else, pictures, and metrics.json beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from perception.evaluation.records import read_records
from perception.evaluation.report.frame_pictures import draw_worst
from perception.evaluation.report.pictures import Picture
from perception.evaluation.report.reasons import explained
from perception.evaluation.report.sections import ModelSection
from perception.evaluation.report.series import gather
from perception.evaluation.report.worst_frames import WorstFrames
from perception.evaluation.results import EvaluationResults

REPORT_FILE = "report.html"
METRICS_FILE = "metrics.json"
PICTURES_FOLDER = "pictures"
#: Pictures of frames in a page, of all networks together: about 150 kB each.
MOST_EMBEDDED = 40


def write_report(folder: Path, results: EvaluationResults, worst: WorstFrames, records: Sequence[Path]) -> Path:
    """Write report.html, metrics.json and pictures/*.png into `folder`.

    Args:
        folder: made where it is missing.
        results: the figures.
        worst: the frames to draw.
        records: files of frames, which are read once, line by line.

    Returns:
        The report's path.

    Raises:
        ConfigurationError: a record cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    results.write(folder / METRICS_FILE)
    series = gather(read_records(records), results.models)
    embedded = embedded_frames(len(results.models))
    sections = [
        ModelSection.of(
            model,
            worst.descriptions[model.name],
            series[model.name],
            draw_worst(worst, model.name, folder / PICTURES_FOLDER)[:embedded],
            worst.by_quality(model.name),
        )
        for model in results.models
    ]
    report = folder / REPORT_FILE
    report.write_text(render(results, sections, _beside(folder)), encoding="utf-8")
    return report


def embedded_frames(networks: int) -> int:
    """How many of its worst frames each of so many networks shows in the page; at least one."""
    return max(1, MOST_EMBEDDED // max(1, networks))


def render(results: EvaluationResults, sections: Sequence[ModelSection], beside: Sequence[str] = ()) -> str:
    """The page; `beside`: files and folders next to it that it points to."""
    return _environment().get_template("report.html.j2").render(results=results, sections=sections, beside=beside)


def data_uri(picture: Picture) -> str:
    """A picture as a data URI: lossless WebP, since points of one pixel do not survive lossy coding."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", lossless=True, quality=60, method=2)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("perception.evaluation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "rgb": "#{0[0]:02x}{0[1]:02x}{0[2]:02x}".format,
        "data_uri": data_uri,
        "thousands": "{:,}".format,
        "explained": explained,
    }
    return environment


def _beside(folder: Path) -> list[str]:
    """What of an evaluation's files lies in its folder."""
    return [name for name in (METRICS_FILE, "frames", PICTURES_FOLDER, "bags", "logs") if (folder / name).exists()]
