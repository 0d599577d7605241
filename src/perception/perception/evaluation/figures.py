"""Every figure of an evaluation by a short name, such as mAP, IoU.car or latency.total.p99."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from perception.evaluation.results import DetectionResults, ModelResults, ResourceUsage, SegmentationResults

#: None: known to be unknown, such as a quality where nothing was compared. A name may end with `.*`: all of a family.
Figures: TypeAlias = dict[str, float | None]

PERCENTILES = ("p50", "p95", "p99", "max")
#: Families of which less is better.
COSTS = ("latency", "drops", "drop_share", "error", "cpu", "memory", "gpu", "gpu_memory", "power")


def figures_of(model: ModelResults) -> Figures:
    """Name every figure of a network."""
    quality = _of_labels(model.segmentation) if model.task == "segmentation" else _of_objects(model.detection)
    return {
        **quality,
        **_of_latency(model),
        "rate": model.rate_hz,
        "drops": model.frames.dropped,
        "drop_share": model.frames.dropped / model.frames.in_ if model.frames.in_ else None,
        **_of_resources(model.resources),
    }


def look_up(figures: Mapping[str, float | None], name: str) -> str | None:
    """Find the key of a figure whatever its case is: the name's own, else its family's; None where there is none."""
    by_folded = {key.casefold(): key for key in figures}
    folded = name.casefold()
    families = [f"{folded[:place]}.*" for place, letter in enumerate(folded) if letter == "."]
    return next((by_folded[one] for one in (folded, *families) if one in by_folded), None)


def less_is_better(name: str) -> bool:
    """Tell costs from qualities."""
    return name.split(".")[0] in COSTS


def _of_labels(results: SegmentationResults | None) -> Figures:
    if results is None or results.mean_iou is None:
        return {"mIoU": None, "accuracy": None, "mIoU.*": None, "IoU.*": None}
    return {
        "mIoU": results.mean_iou,
        "accuracy": results.accuracy,
        **{f"IoU.{name}": results.iou.get(name) for name in results.classes},
        **_of_bands("mIoU", ((name, band.mean_iou) for name, band in results.by_distance.items())),
    }


def _of_objects(results: DetectionResults | None) -> Figures:
    if results is None or results.mean_average_precision is None:
        return dict.fromkeys(("mAP", "NDS", "AP.*", "mAP.*", "error.*", "KITTI.*"))
    bands = {**results.by_distance, **results.by_points}
    return {
        "mAP": results.mean_average_precision,
        "NDS": results.nuscenes_detection_score,
        **dict.fromkeys(f"AP.{name}" for name in results.classes),
        **{f"AP.{name}": figures.average_precision for name, figures in results.by_class.items()},
        **{f"error.{kind}": error for kind, error in results.errors.items()},
        **_of_bands("mAP", ((name, band.mean_average_precision) for name, band in bands.items())),
        **{
            f"KITTI.{name}.{view}.{level}": precision
            for name, views in results.kitti.items()
            for view, levels in views.items()
            for level, precision in levels.items()
        },
    }


def _of_bands(name: str, bands: Iterable[tuple[str, float | None]]) -> Figures:
    return {f"{name}.{band.replace(' ', '')}": value for band, value in bands}


def _of_latency(model: ModelResults) -> Figures:
    if not model.latency_ms:  # no frame came out
        return {"latency.*": None}
    return {
        f"latency.{stage}.{one}": getattr(summary, one)
        for stage, summary in model.latency_ms.items()
        for one in PERCENTILES
    }


def _of_resources(usage: ResourceUsage | None) -> Figures:
    found: Figures = {}
    names = {"cpu_percent": "cpu", "memory_mib": "memory", "gpu_percent": "gpu", "gpu_memory_mib": "gpu_memory"}
    for field, name in {**names, "power_w": "power"}.items():
        one = getattr(usage, field, None)
        found |= {f"{name}.mean": one and one.mean, f"{name}.max": one and one.max}
    return found
