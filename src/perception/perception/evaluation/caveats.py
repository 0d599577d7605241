"""What has to be known to read figures of quality: which objects count, and whose definitions are followed how far."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from perception.classes import NUSCENES_LIDARSEG
from perception.evaluation.detection_summary import ALL_LEVELS
from perception.evaluation.label_sets import NUSCENES_OF_SEMANTIC_KITTI, unmapped
from perception.evaluation.metrics.detection import ATTRIBUTE
from perception.evaluation.results import DetectionResults, ModelResults


def caveats(models: Iterable[ModelResults]) -> list[str]:
    """Give one sentence for each thing that the figures of these networks have to be read with, none twice."""
    return list(dict.fromkeys(sentence for model in models for sentence in _of_model(model)))


def _of_model(model: ModelResults) -> Iterator[str]:
    if model.segmentation is not None and model.segmentation.label_set == NUSCENES_LIDARSEG.name:
        renamed = ", ".join(f"{old} as {new}" for old, new in NUSCENES_OF_SEMANTIC_KITTI.items() if old != new)
        yield (
            f"Labels are judged in nuScenes' classes, the truth is in SemanticKITTI's: {renamed}; other-vehicle is "
            f"left out, and {', '.join(unmapped(NUSCENES_LIDARSEG))} never occur in the truth."
        )
    if model.detection is not None:
        yield from _of_detection(model.detection)


def _of_detection(found: DetectionResults) -> Iterator[str]:
    yield (
        f"Objects count within {found.range_m:g} m if they show {found.least_points} LiDAR points or more; finding "
        "others is no mistake, and means are over the classes that occur."
    )
    unknown = [kind for kind, error in found.errors.items() if error is None]
    if unknown and found.nuscenes_detection_score is not None:
        words = " and ".join("attributes" if kind == ATTRIBUTE else f"errors of {kind}" for kind in unknown)
        best = 1 - len(unknown) / 10
        yield f"Nothing is known of {words}, which count as wrong in nuScenes' score (NDS): {best:g} is its best value."
    if any(set(levels) == set(ALL_LEVELS) for views in found.kitti.values() for levels in views.values()):
        yield "KITTI's average precision takes all objects as one level, since nothing says how easy they are to see."
