"""What a training step teaches a detector."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from torch import Tensor, nn

from perception.evaluation.metrics.detection import DetectionMetrics
from perception.models.build import build_detector
from perception.models.detector import MapDetector
from perception.runtime.detections import box_coding
from perception.training.batch import Batch
from perception.training.clouds import LabelledPoints
from perception.training.detection.batches import DetectionBatch
from perception.training.detection.losses import center_losses
from perception.training.detection.settings import DetectionSettings
from perception.training.detection.validation import detection_figures, evaluate_detector


class DetectionLearner:
    """One network; see `perception.training.learners.Learner`."""

    figures: tuple[str, ...] = ("heatmap_loss", "box_loss", "iou_loss")
    score = "map"

    def __init__(self, settings: DetectionSettings) -> None:
        self._settings = settings
        self.parts = settings.parts
        self.module: nn.Module = build_detector(settings.network, len(settings.classes))

    def predict(self, batch: Batch, step: int, part: int) -> dict[str, Tensor]:
        """The head's maps of a step's batch."""
        assert isinstance(batch, DetectionBatch)
        maps: dict[str, Tensor] = self.module(batch.clouds)
        return maps

    def loss(self, predicted: Mapping[str, Tensor], batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The weighted sum of the losses, and each of them for the log."""
        assert isinstance(batch, DetectionBatch)
        weights, coding = self._settings.loss, box_coding(self._settings.network)
        maps = {name: value.float() for name, value in predicted.items()}
        losses = center_losses(maps, batch.truth, coding, weights.velocity_weight)
        total = losses.heatmap + weights.box_weight * losses.box + weights.iou_weight * losses.iou
        return total, {name: float(part.detach()) for name, part in zip(self.figures, losses, strict=True)}

    def deployed(self, module: nn.Module, calibration: Iterable[Batch]) -> MapDetector:
        """The network as it is."""
        assert isinstance(module, MapDetector)
        return copy.deepcopy(module)

    def evaluate(self, network: nn.Module, clouds: Sequence[LabelledPoints], quick: bool = False) -> DetectionMetrics:
        """Detect in the clouds, or quickly in some of them, and compare."""
        assert isinstance(network, MapDetector)
        count = min(len(clouds), self._settings.validation_clouds) if quick else len(clouds)
        numbers = np.linspace(0, len(clouds) - 1, count).astype(int).tolist()
        return evaluate_detector(network, [clouds[number] for number in numbers], self._settings)

    def figures_of(self, measured: object) -> dict[str, float]:
        """Mean average precision and what it is made of."""
        assert isinstance(measured, DetectionMetrics)
        return detection_figures(measured)
