"""How good a network is on drives that it never saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from perception.evaluation.metrics.confusion import ConfusionMatrix
from perception.runtime.labellers import PointLabeller
from perception.runtime.timing import StageTimer
from perception.training.clouds import LabelledPoints

#: Gives each of a cloud's points, float32 [N, 4], its class: uint8 [N].
Labeller = Callable[[NDArray[np.float32]], NDArray[np.uint8]]


def class_labels(labeller: PointLabeller) -> Labeller:
    """What a labeller says without the probabilities and times."""

    def label(points: NDArray[np.float32]) -> NDArray[np.uint8]:
        with torch.inference_mode():
            return labeller.label(points, StageTimer())[0]

    return label


def evaluate(label: Labeller, clouds: Sequence[LabelledPoints], classes: int) -> ConfusionMatrix:
    """Label every point of the clouds, and compare."""
    confusion = ConfusionMatrix(classes)
    for cloud in clouds:
        confusion.add(cloud.class_ids, label(cloud.points))
    return confusion


def measured_figures(confusion: ConfusionMatrix, names: tuple[str, ...]) -> dict[str, float]:
    """Mean IoU, and the IoU of every class that occurs."""
    figures: dict[str, float] = {"mean_iou": round(confusion.mean_iou(), 4)}
    for name, iou, occurs in zip(names, confusion.iou(), confusion.occurs, strict=True):
        if occurs:
            figures[f"iou.{name}"] = round(float(iou), 4)
    return figures
