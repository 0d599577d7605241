"""Made-up evaluations."""

from __future__ import annotations

from typing import Any

import numpy as np

from perception.evaluation.latency import summarize_stages
from perception.evaluation.metrics.confusion import ConfusionMatrix
from perception.evaluation.results import (
    BagDescription,
    EvaluationResults,
    FrameCounts,
    MachineDescription,
    ModelResults,
    RunDescription,
    SegmentationResults,
)

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
