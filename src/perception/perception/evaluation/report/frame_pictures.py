"""Pictures of a network's worst frames: truth against result."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from perception.bundle.format import CommonDescription
from perception.classes import IGNORED, SEMANTIC_KITTI
from perception.data.boxes import chosen
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
from perception.evaluation.report.pictures import WRONG, BirdsEyeArea, Picture
from perception.evaluation.report.worst_frames import WorstFrame, WorstFrames
from perception.types import Boxes3D, DetectedObjects, LabelledCloud

#: Boxes that score less are left out of pictures; metrics take them all.
SHOWN_SCORE = 0.3
LEAST_POINTS = 5
#: In the page, where ten frames of every network stand.
SMALL = BirdsEyeArea(pixels_per_meter=6.0)


@dataclass(frozen=True)
class FramePicture:
    """A frame, drawn.

    Attributes:
        name: of a file, without its ending.
        title: one line that says which frame it is, how good, and how fast.
        panels: caption and picture from above of each view, small enough for a page.
        sheet: everything about it, large.
        legend: name and colour of what is drawn.
    """

    name: str
    title: str
    panels: tuple[tuple[str, Picture], ...]
    sheet: Image.Image
    legend: tuple[tuple[str, tuple[int, int, int]], ...]


def draw_worst(worst: WorstFrames, model: str) -> list[FramePicture]:
    """Draw the worst frames of a network, the worst first."""
    description = worst.descriptions[model]
    return [
        _draw(f"{file_name(model)}_{place:02}", frame, description)
        for place, frame in enumerate(worst.frames(model), 1)
    ]


def _draw(name: str, frame: WorstFrame, description: CommonDescription) -> FramePicture:
    outcome, record = frame.outcome, frame.record
    name = f"{name}_{file_name(record.bag)}_{record.index}"
    title = _title(frame, description)
    if isinstance(outcome.result, LabelledCloud):
        return _labels(name, labelled_scan(title, outcome, description))
    return _objects(name, detected_scan(title, outcome, record, description))


def labelled_scan(title: str, outcome: FrameOutcome, description: CommonDescription) -> LabelledScan:
    """A frame with its labels, in the network's own classes and colours.

    Raises:
        TypeError: the result is not labels.
    """
    if not isinstance(outcome.result, LabelledCloud):
        raise TypeError(f"{title}: expected labels")
    truth = outcome.frame.class_ids
    return LabelledScan(
        title,
        outcome.frame.frame.cloud.points,
        None if truth is None else _truth_table(description.classes)[truth],
        outcome.result.class_ids,
        description.classes,
        np.array(description.colors, np.uint8),
    )


def detected_scan(
    title: str, outcome: FrameOutcome, record: FrameRecord, description: CommonDescription
) -> DetectedScan:
    """A frame with the boxes that were found in it, and the true ones that ought to be.

    Raises:
        TypeError: the result is not boxes.
    """
    if not isinstance(outcome.result, DetectedObjects):
        raise TypeError(f"{title}: expected boxes")
    found = outcome.result.boxes
    shown = chosen(found, found.scores >= SHOWN_SCORE)
    colors = dict(zip(description.classes, description.colors, strict=True))
    return DetectedScan(title, outcome.frame.frame.cloud.points, shown, _true_boxes(record, description), colors)


def _true_boxes(record: FrameRecord, description: CommonDescription) -> Boxes3D | None:
    if record.truth is None:
        return None
    known = [
        name in description.classes and points >= LEAST_POINTS
        for name, points in zip(record.truth.class_names, record.truth.points, strict=True)
    ]
    return chosen(record.truth.boxes(), np.array(known, bool))


def _truth_table(classes: tuple[str, ...]) -> NDArray[np.uint8]:
    """SemanticKITTI's class id, in which truth comes -> the network's id of that name, uint8 [256]."""
    table = np.full(256, IGNORED, np.uint8)
    for class_id, name in enumerate(SEMANTIC_KITTI.names):
        if name in classes:
            table[class_id] = classes.index(name)
    return table


def _labels(name: str, scan: LabelledScan) -> FramePicture:
    panels = draw_panels(scan)
    small = draw_panels(scan, SMALL)
    shown = tuple((panel.caption, panel.birds_eye) for panel in small)
    legend = [*scan.legend(), *([("wrong label", WRONG)] if scan.truth is not None else [])]
    return FramePicture(name, scan.title, shown, compose_sheet(scan, panels), tuple(legend))


def _objects(name: str, scan: DetectedScan) -> FramePicture:
    names = [*scan.found.class_names, *(scan.truth.class_names if scan.truth is not None else ())]
    legend = [(shown, readable(color)) for shown, color in scan.colors.items() if shown in names]
    truth = [] if scan.truth is None else [("truth", TRUTH_COLOR)]
    shown = ((f"found, with scores from {SHOWN_SCORE}", detection_view(scan, SMALL)),)
    return FramePicture(name, scan.title, shown, detection_sheet(scan), (*legend, *truth))


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


def file_name(text: str) -> str:
    """What of a name may stand in a file's."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text).strip("_.") or "unnamed"
