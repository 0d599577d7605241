"""Frames with a truth, what networks say of them, and what an evaluation makes of that."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.data.boxes import turn
from perception.data.drive import DriveFrame
from perception.evaluation.criteria import DetectionCriteria
from perception.evaluation.judging import Judge
from perception.evaluation.outcomes import FrameOutcome
from perception.evaluation.results import DetectionResults, SegmentationResults
from perception.evaluation.summary import summarize
from perception.types import Boxes3D, DetectedObjects, Frame, LabelledCloud, PointCloud

MODEL = "network"


def network(task: str, classes: tuple[str, ...]) -> Any:
    """What judging reads of a bundle's description."""
    return SimpleNamespace(task=task, classes=classes, name="small", weights_sha256="0" * 64)


def labelled_frame(points: NDArray[np.float32], class_ids: NDArray[np.uint8] | None, stamp_ns: int = 0) -> DriveFrame:
    return DriveFrame(Frame(PointCloud(points), stamp_ns), np.eye(4), class_ids)


def boxes_frame(truth: Boxes3D | None, points_each: int | list[int] = 10, stamp_ns: int = 0) -> DriveFrame:
    """A frame whose objects show so many points, all over them, and nothing else."""
    objects = [] if truth is None else list(range(len(truth)))
    counts = [points_each] * len(objects) if isinstance(points_each, int) else points_each
    rng = np.random.default_rng(0)
    clouds = [np.empty((0, 3), np.float32)]
    for row, count in zip(objects, counts, strict=True):
        assert truth is not None
        inside = rng.uniform(-0.45, 0.45, (count, 3)) * truth.sizes[row]
        clouds.append(inside @ turn(float(truth.yaws[row])).T + truth.centers[row])
    xyz = np.concatenate(clouds).astype(np.float32)
    points = np.column_stack([xyz, np.zeros(len(xyz), np.float32)])
    return DriveFrame(Frame(PointCloud(points), stamp_ns), np.eye(4), objects=truth)


def labels(class_ids: Any) -> LabelledCloud:
    ids = np.asarray(class_ids, np.uint8)
    return LabelledCloud(ids, np.ones(len(ids), np.float32))


def outcome(frame: DriveFrame, result: Any, index: int = 0, **more: Any) -> FrameOutcome:
    return FrameOutcome("drive", index, frame, MODEL, result, **more)


def judged_labels(
    description: Any, frames: list[tuple[DriveFrame, LabelledCloud]], label_set: str | None = None
) -> SegmentationResults:
    """The figures of labels."""
    judge = Judge.of_bundle(description, label_set)
    records = [judge.judge(outcome(*pair, index)) for index, pair in enumerate(frames)]
    (results,) = summarize(records, [SimpleNamespace(name=MODEL, description=description)])
    assert results.segmentation is not None
    return results.segmentation


def judged_boxes(
    frames: list[tuple[DriveFrame, Boxes3D]],
    classes: tuple[str, ...] = ("car", "bus", "pedestrian"),
    criteria: DetectionCriteria | None = None,
) -> DetectionResults:
    """The figures of boxes."""
    description = network("detection", classes)
    judge = Judge.of_bundle(description, criteria=criteria)
    records = [
        judge.judge(outcome(frame, DetectedObjects(found), index)) for index, (frame, found) in enumerate(frames)
    ]
    (results,) = summarize(records, [SimpleNamespace(name=MODEL, description=description)], criteria=criteria)
    assert results.detection is not None
    return results.detection


def with_scores(boxes: Boxes3D, *scores: float) -> Boxes3D:
    return replace(boxes, scores=np.array(scores, np.float32))
