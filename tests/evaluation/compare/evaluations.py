"""Made-up evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from perception.evaluation.latency import summarize_stages
from perception.evaluation.metrics.confusion import ConfusionMatrix
from perception.evaluation.records import FrameRecord, LabelsRecord, RecordWriter
from perception.evaluation.results import (
    BagDescription,
    EvaluationResults,
    FrameCounts,
    MachineDescription,
    ModelResults,
    RunDescription,
    SegmentationResults,
)
from perception.evaluation.summary import summarize

CLASSES = ("car", "road", "tree")
MACHINE = MachineDescription(
    cpu="made-up cpu", cores=2, memory_gib=4.0, system="Linux", ros_distro="none", rmw="none", versions={}
)


def labelling(counts: Any) -> SegmentationResults:
    """Figures of a confusion matrix of `CLASSES`, or of nothing."""
    matrix = ConfusionMatrix(len(CLASSES))
    for (truth, predicted), times in np.ndenumerate(np.array(counts)):
        matrix.add(np.full(times, truth, np.uint8), np.full(times, predicted, np.uint8))
    found = {name: float(iou) for name, iou in zip(CLASSES, matrix.iou(), strict=True) if not np.isnan(iou)}
    return SegmentationResults(
        mean_iou=matrix.mean_iou() if found else None,
        accuracy=matrix.accuracy() if found else None,
        iou=found,
        points={name: int(matrix.truth_points[CLASSES.index(name)]) for name in found},
        label_set="semantic_kitti",
        classes=CLASSES,
        confusion=tuple(map(tuple, matrix.counts.tolist())),
        frames=1,
        by_distance={},
    )


def network(
    name: str = "street", totals_ms: tuple[float, ...] = (10.0,), dropped: int = 0, **more: Any
) -> ModelResults:
    """A network's results: one frame for each duration, and those that were dropped."""
    return ModelResults.model_validate(
        {
            "name": name,
            "bundle": name,
            "bundle_sha256": "0" * 64,
            "task": "segmentation",
            "frames": FrameCounts.accounted(
                len(totals_ms) + dropped, len(totals_ms), {"late": dropped} if dropped else {}
            ),
            "latency_ms": summarize_stages({"total": total} for total in totals_ms),
            "rate_hz": 10.0,
        }
        | more
    )


def evaluation(*models: ModelResults, frames: int = 1, **more: Any) -> EvaluationResults:
    """An evaluation of one bag."""
    run = RunDescription(
        command="perception evaluate",
        created="2030-01-01",
        mode="offline",
        partial=False,
        bags=(BagDescription(name="drive", frames=frames, duration_s=0.1 * frames),),
        duration_s=1.0,
        machine=MACHINE,
        **more,
    )
    return EvaluationResults(run=run, models=models)


def frame(index: int, total_ms: float = 10.0, triples: Any = None, **more: Any) -> FrameRecord:
    """A frame of SemanticKITTI's labels: (true class, predicted class, points)."""
    labels = None
    if triples is not None:
        labels = LabelsRecord(sha256="0" * 64, label_set="semantic_kitti", confusion={"0-20 m": tuple(triples)})
    values = {"bag": "drive", "index": index, "model": "street", "stamp_ns": index * 10**8, "points": 5}
    stages = {} if more.get("dropped") else {"total": total_ms}
    return FrameRecord.model_validate({**values, "stage_ms": stages, "labels": labels, **more})


def results_of(
    records: Sequence[FrameRecord], task: str = "segmentation", classes: tuple[str, ...] = CLASSES
) -> EvaluationResults:
    """What the figures of these frames are, network by network."""
    description = SimpleNamespace(task=task, classes=classes, name="small", weights_sha256="0" * 64)
    names = dict.fromkeys(record.model for record in records)
    models = [SimpleNamespace(name=name, description=description) for name in names]
    return evaluation(*summarize(records, models), frames=len(records))


def write_run(folder: Path, records: Sequence[FrameRecord], **more: Any) -> Path:
    """Write metrics.json, and the records beside it."""
    with RecordWriter(folder / "frames" / "drive.jsonl") as writer:
        for record in records:
            writer.write(record)
    results_of(records, **more).write(folder / "metrics.json")
    return folder / "metrics.json"
