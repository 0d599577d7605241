"""How good a detector is on clouds that it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from perception.evaluation.metrics.detection import DetectionMetrics
from perception.evaluation.metrics.detection_matching import ERRORS
from perception.models.detector import MapDetector
from perception.runtime.detections import boxes_of, find_candidates, points_in_range, suppress
from perception.training.clouds import LabelledPoints
from perception.training.detection.batches import seen_boxes
from perception.training.detection.settings import DetectionSettings
from perception.types import Boxes3D


def detect(network: MapDetector, cloud: LabelledPoints, settings: DetectionSettings, backend: Any = None) -> Boxes3D:
    """Find the objects of a cloud, with what the network computes with in inference unless told otherwise."""
    points = torch.from_numpy(points_in_range(cloud.points, settings.network.range_m))
    with torch.inference_mode():
        maps = {name: value.float().contiguous() for name, value in network.eval()([points], backend).items()}
    candidates = find_candidates(maps, settings.network, settings.decoding)[0]
    return boxes_of(suppress(candidates, settings.decoding), settings.classes)


def evaluate_detector(
    network: MapDetector, clouds: Sequence[LabelledPoints], settings: DetectionSettings
) -> DetectionMetrics:
    """Compare what a network finds in clouds with their objects."""
    metrics = DetectionMetrics(settings.classes, settings.validation_range_m)
    for cloud in clouds:
        metrics.add(seen_boxes(cloud, settings), detect(network, cloud, settings))
    return metrics


def detection_figures(metrics: DetectionMetrics) -> dict[str, float]:
    """Mean average precision first, then that of each class and its errors."""
    figures = {"map": metrics.mean_average_precision()}
    for name, row in zip(metrics.class_names, metrics.average_precisions(), strict=True):
        if not np.isnan(row).any():
            figures[f"ap.{name}"] = float(row.mean())
    for name, errors in metrics.errors().items():
        figures |= {f"{kind}_error.{name}": float(error) for kind, error in zip(ERRORS, errors, strict=True)}
    return {name: round(value, 4) for name, value in figures.items() if not np.isnan(value)}
