"""Pictures of a network's worst frames: truth against result."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from perception.bundle.format import CommonDescription
from perception.data.boxes import chosen
from perception.evaluation.criteria import DetectionCriteria
from perception.evaluation.label_sets import ids_in, label_set_named, truth_table
from perception.evaluation.latency import main_duration_ms
from perception.evaluation.outcomes import FrameOutcome
from perception.evaluation.records import FrameRecord
from perception.evaluation.report.detection_pictures import (
    TRUTH_COLOR,
    DetectedScan,
    detection_sheet,
    detection_view,
    readable,
)
from perception.evaluation.report.panels import LabelledScan, compose_sheet, draw_panels
from perception.evaluation.report.pictures import WRONG, Picture
from perception.evaluation.report.worst_frames import WorstFrame, WorstFrames
from perception.types import DetectedObjects, LabelledCloud

#: In the page, where ten frames of every network stand: share of the size, and colours.
SMALL, SMALL_COLORS = 2 / 3, 128


@dataclass(frozen=True)
class FramePicture:
    """A frame, drawn.

    Attributes:
        title: one line that says which frame it is, how good, and how fast.
        panels: caption and picture from above of each view, small enough for a page.
        legend: name and colour of what is drawn.
    """

    title: str
    panels: tuple[tuple[str, Picture], ...]
    legend: tuple[tuple[str, tuple[int, int, int]], ...]


def draw_worst(worst: WorstFrames, model: str, folder: Path) -> list[FramePicture]:
    """Draw the worst frames of a network, the worst first.

    Each is also written, large, into `folder`, for a README or a talk, instead of those of an earlier run.
    """
    folder.mkdir(exist_ok=True)
    for outdated in folder.glob(f"{_file_name(model)}_[0-9][0-9]_*.png"):
        outdated.unlink()
    pictures = []
    for place, frame in enumerate(worst.frames(model), 1):
        picture, sheet = _draw(frame, worst.descriptions[model], worst.criteria)
        name = f"{_file_name(model)}_{place:02}_{_file_name(frame.record.bag)}_{frame.record.index}.png"
        # A third of the size; the octree keeps colours of few points, which a median cut merges into others.
        sheet.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(folder / name)
        pictures.append(picture)
    return pictures


def _draw(
    frame: WorstFrame, description: CommonDescription, criteria: DetectionCriteria
) -> tuple[FramePicture, Image.Image]:
    outcome, record = frame.outcome, frame.record
    title = _title(frame, description)
    if isinstance(outcome.result, LabelledCloud):
        return _labels(labelled_scan(title, outcome, record, description))
    return _objects(detected_scan(title, outcome, record, description, criteria), criteria)


def labelled_scan(
    title: str, outcome: FrameOutcome, record: FrameRecord, description: CommonDescription
) -> LabelledScan:
    """A frame with its labels: beside the truth in the classes in which it was judged, else in the network's own.

    Raises:
        TypeError: the result is not labels.
    """
    if not isinstance(outcome.result, LabelledCloud):
        raise TypeError(f"{title}: expected labels")
    points, class_ids = outcome.frame.frame.cloud.points, outcome.result.class_ids
    if outcome.frame.class_ids is None or record.labels is None:
        colors = np.array(description.colors, np.uint8)
        return LabelledScan(title, points, None, class_ids, description.classes, colors)
    judged_in = label_set_named(record.labels.label_set)
    return LabelledScan(
        title,
        points,
        truth_table(judged_in)[outcome.frame.class_ids],
        ids_in(description.classes, judged_in)[class_ids],
        judged_in.names,
        judged_in.colors,
    )


def detected_scan(
    title: str,
    outcome: FrameOutcome,
    record: FrameRecord,
    description: CommonDescription,
    criteria: DetectionCriteria,
) -> DetectedScan:
    """A frame with the boxes that were found in it, and the true ones that ought to be.

    Raises:
        TypeError: the result is not boxes.
    """
    if not isinstance(outcome.result, DetectedObjects):
        raise TypeError(f"{title}: expected boxes")
    found, truth = outcome.result.boxes, record.truth
    shown = chosen(found, found.scores >= criteria.shown_score)
    colors = dict(zip(description.classes, description.colors, strict=True))
    wanted = None
    if truth is not None:
        known = np.array([name in description.classes for name in truth.class_names], bool)
        wanted = chosen(truth.boxes(), known & criteria.count(truth))
    return DetectedScan(title, outcome.frame.frame.cloud.points, shown, wanted, colors)


def _labels(scan: LabelledScan) -> tuple[FramePicture, Image.Image]:
    panels = draw_panels(scan)
    shown = tuple((panel.caption, _small(panel.birds_eye)) for panel in panels)
    legend = [*scan.legend(), *([("wrong label", WRONG)] if scan.truth is not None else [])]
    return FramePicture(scan.title, shown, tuple(legend)), compose_sheet(scan, panels)


def _objects(scan: DetectedScan, criteria: DetectionCriteria) -> tuple[FramePicture, Image.Image]:
    names = [*scan.found.class_names, *(scan.truth.class_names if scan.truth is not None else ())]
    legend = [(shown, readable(color)) for shown, color in scan.colors.items() if shown in names]
    truth = [] if scan.truth is None else [("truth", TRUTH_COLOR)]
    view = detection_view(scan)
    shown = ((f"Found, with scores from {criteria.shown_score:g}", _small(view)),)
    return FramePicture(scan.title, shown, (*legend, *truth)), detection_sheet(scan, picture=view)


def _small(picture: Picture) -> Picture:
    size = (round(SMALL * picture.shape[1]), round(SMALL * picture.shape[0]))
    small = Image.fromarray(picture).resize(size, Image.Resampling.BOX)
    # A third fewer bytes; the octree keeps colours of few points, which a median cut merges into others.
    small = small.quantize(SMALL_COLORS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    return np.asarray(small.convert("RGB"))


def _title(frame: WorstFrame, description: CommonDescription) -> str:
    record = frame.record
    parts = [f"{record.bag}, frame {record.index}, at {frame.since_start_s:.1f} s"]
    if record.quality is not None:
        parts.append(_quality(record, description))
    duration_ms = main_duration_ms(record.stage_ms)
    return ": ".join(parts) + (f", {duration_ms:.0f} ms" if duration_ms is not None else "")


def _quality(record: FrameRecord, description: CommonDescription) -> str:
    if description.task == "detection":
        return f"F1 score {record.quality:.2f}"
    return f"{100 * (record.quality or 0.0):.1f} % of points right"


def _file_name(text: str) -> str:
    """What of a name may stand in a file's."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text).strip("_.") or "unnamed"
