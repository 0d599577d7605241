"""What a training step teaches: one network, or some networks of a supernet."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from perception.bundle.architecture import SpvnasArchitecture
from perception.bundle.format import PvcnnSettings, SpvnasSettings
from perception.bundle.supernet import SupernetSpace
from perception.classes import IGNORED
from perception.evaluation.metrics.confusion import ConfusionMatrix
from perception.models.build import build_network
from perception.models.labellers import make_labeller
from perception.models.network import SegmentationNetwork
from perception.models.spvnas import Supernet
from perception.training.batch import Batch
from perception.training.batches import AnySettings, BlockBatch, VoxelBatch
from perception.training.clouds import LabelledPoints
from perception.training.detection.learner import DetectionLearner
from perception.training.detection.settings import DetectionSettings
from perception.training.losses import segmentation_loss
from perception.training.recalibration import recalibrate
from perception.training.settings import TrainingSettings
from perception.training.validation import Labeller, class_labels, evaluate, measured_figures

#: [27, features, channels]
FIRST_KERNEL = "stem.0.kernel"


class Learner(Protocol):
    """What the trainer optimises, and how a batch is put through it.

    Attributes:
        module: everything that is learned.
        parts: how many batches a step has. Each goes through the learner by itself, on whichever process, and their
            gradients are averaged.
        figures: what is known of every step besides its loss, for the log.
        score: the first of what validation measures.
    """

    module: nn.Module
    parts: int
    figures: tuple[str, ...]
    score: str

    def predict(self, batch: Batch, step: int, part: int) -> Any:
        """What the network says of a step's batch, in half precision where the trainer computes in it."""

    def loss(self, predicted: Any, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The loss, in single precision, and those of `figures` that are known of this batch."""

    def deployed(self, module: nn.Module, calibration: Iterable[Batch]) -> nn.Module:
        """The network to evaluate and to ship: a copy that takes raw features, out of `module` or an average of it."""

    def evaluate(self, network: nn.Module, clouds: Sequence[LabelledPoints], quick: bool = False) -> Any:
        """Measure a deployed network on clouds that it never saw, or quickly on some of them."""

    def figures_of(self, measured: Any) -> dict[str, float]:
        """What was measured, by name; `score` first."""


class _Learner:
    """What all learners of segmentation have in common."""

    figures: tuple[str, ...] = ("mean_iou",)
    score = "mean_iou"

    def __init__(self, settings: TrainingSettings, class_weights: Tensor) -> None:
        self._settings = settings
        self._class_weights = class_weights

    def loss(self, predicted: Tensor, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Cross entropy and Lovasz-softmax of class scores, float [N, classes]."""
        assert isinstance(batch, VoxelBatch | BlockBatch)
        # Softmax and the sums of the losses over all voxels want single precision.
        scores, weights = predicted.float(), self._class_weights.to(predicted.device)
        loss = segmentation_loss(scores, batch.classes, weights, self._settings.loss.lovasz_weight)
        if not (batch.classes != IGNORED).any():
            return loss, {}
        confusion = ConfusionMatrix(len(weights))
        labels = scores.detach().argmax(1)
        confusion.add(batch.classes.byte().cpu().numpy(), labels.byte().cpu().numpy())
        return loss, {"mean_iou": confusion.mean_iou()}

    def evaluate(self, network: nn.Module, clouds: Sequence[LabelledPoints], quick: bool = False) -> ConfusionMatrix:
        """Label every point of the clouds, and compare."""
        return evaluate(self.labeller(network), clouds, len(self._class_weights))

    def figures_of(self, measured: ConfusionMatrix) -> dict[str, float]:
        """Mean IoU, and the IoU of every class that occurs."""
        return measured_figures(measured, self._settings.data.classes.names)

    def labeller(self, network: nn.Module) -> Labeller:
        """What gives every point of a cloud its class, with a deployed network."""
        settings = self._settings
        return class_labels(make_labeller(copy.deepcopy(network), settings.network, settings.voxel_size_m))


class NetworkLearner(_Learner):
    """One network, one batch a step."""

    parts = 1

    def __init__(self, settings: TrainingSettings, class_weights: Tensor) -> None:
        super().__init__(settings, class_weights)
        network = build_network(settings.network, len(class_weights))
        assert isinstance(network, SegmentationNetwork)
        self._network = network
        self.module: nn.Module = network

    def predict(self, batch: Batch, step: int, part: int) -> Tensor:
        """Class scores of a step's batch, float [N, classes]."""
        assert isinstance(batch, VoxelBatch)
        return self._network.label(batch.tables, batch.features)

    def deployed(self, module: nn.Module, calibration: Iterable[Batch]) -> SegmentationNetwork:
        """The network as it is."""
        assert isinstance(module, SegmentationNetwork)
        return fold_feature_scale(copy.deepcopy(module), self._settings.feature_scale)


class BlockLearner(_Learner):
    """A network of points, on blocks of the clouds."""

    parts = 1

    def __init__(self, settings: TrainingSettings, class_weights: Tensor) -> None:
        super().__init__(settings, class_weights)
        self.module: nn.Module = build_network(settings.network, len(class_weights))

    def predict(self, batch: Batch, step: int, part: int) -> Tensor:
        """Class scores of a step's batch, float [N, classes]."""
        assert isinstance(batch, BlockBatch)
        scores: Tensor = self.module(batch.features)
        return scores.transpose(1, 2).flatten(0, 1)

    def deployed(self, module: nn.Module, calibration: Iterable[Batch]) -> nn.Module:
        """The network as it is."""
        return copy.deepcopy(module)


class SupernetLearner(_Learner):
    """Some networks of a supernet a step, each with a batch of its own."""

    def __init__(self, settings: TrainingSettings, class_weights: Tensor) -> None:
        super().__init__(settings, class_weights)
        assert settings.supernet is not None
        assert isinstance(settings.network, SpvnasSettings)
        elasticity = settings.supernet.elasticity.model_dump()
        self.space = SupernetSpace(largest=settings.network.architecture, **elasticity)
        self.parts = settings.supernet.networks_per_step
        self._supernet = Supernet(self.space, len(class_weights), settings.network.input_channels)
        self.module: nn.Module = self._supernet

    def predict(self, batch: Batch, step: int, part: int) -> Tensor:
        """Class scores of a step's batch, float [N, classes]."""
        assert isinstance(batch, VoxelBatch)
        return self._supernet.apply_network(self.network_of(step, part), batch.tables, batch.features)

    def network_of(self, step: int, part: int) -> SpvnasArchitecture:
        """The network of a part of a step: a function of the seed and these numbers alone."""
        supernet = self._settings.supernet
        assert supernet is not None
        if part < supernet.largest_networks:
            return self.space.largest
        rng = np.random.default_rng([self._settings.seed, 2, step, part])
        return self.space.sample(rng, supernet.min_depth_at(step / self._settings.steps, self.space.max_depth))

    def deployed(self, module: nn.Module, calibration: Iterable[Batch]) -> SegmentationNetwork:
        """The largest network, with batch-norm statistics of its own."""
        return self.network(module, self.space.largest, calibration)

    def network(
        self, module: nn.Module, architecture: SpvnasArchitecture, calibration: Iterable[Batch]
    ) -> SegmentationNetwork:
        """Cut a network out, with batch-norm statistics of its own; it takes raw features."""
        assert isinstance(module, Supernet)
        network = module.materialise(architecture)
        recalibrate(network, calibration)
        return fold_feature_scale(network, self._settings.feature_scale)


def make_learner(settings: AnySettings, class_weights: Tensor) -> Learner:
    """The learner that a configuration describes, with fresh weights; detectors take no weights of classes."""
    if isinstance(settings, DetectionSettings):
        return DetectionLearner(settings)
    kind = BlockLearner if isinstance(settings.network, PvcnnSettings) else NetworkLearner
    learner: Learner = (SupernetLearner if settings.supernet else kind)(settings, class_weights)
    for module in learner.module.modules():
        if isinstance(module, nn.Dropout):
            module.p = settings.dropout
    return learner


def fold_feature_scale(network: SegmentationNetwork, scale: tuple[float, ...]) -> SegmentationNetwork:
    """Let the first layer take raw features, where it took features times `scale`; changes and returns `network`."""
    with torch.no_grad():
        network.get_parameter(FIRST_KERNEL).mul_(torch.tensor(scale)[:, None])
    return network
