"""What a training step teaches: one network, or some networks of a supernet."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from perception.bundle.architecture import SpvnasArchitecture
from perception.bundle.format import PvcnnSettings, SpvnasSettings
from perception.bundle.supernet import SupernetSpace
from perception.models.build import build_network
from perception.models.labellers import make_labeller
from perception.models.network import SegmentationNetwork
from perception.models.spvnas import Supernet
from perception.training.batches import Batch, BlockBatch, VoxelBatch
from perception.training.recalibration import recalibrate
from perception.training.settings import TrainingSettings
from perception.training.validation import Labeller, class_labels

#: [27, features, channels]
FIRST_KERNEL = "stem.0.kernel"


class Learner(Protocol):
    """What the trainer optimises, and how a batch is put through it.

    Attributes:
        module: everything that is learned.
        parts: how many batches a step has. Each goes through the learner by itself, on whichever process, and their
            gradients are averaged.
    """

    module: nn.Module
    parts: int

    def scores(self, batch: Batch, step: int, part: int) -> Tensor:
        """Class scores of a step's batch, float [N, classes]."""

    def deployed(self, module: nn.Module, calibration: Iterable[Batch]) -> nn.Module:
        """The network to evaluate and to ship: a copy that takes raw features, out of `module` or an average of it."""

    def labeller(self, network: nn.Module) -> Labeller:
        """What gives every point of a cloud its class, with a deployed network."""


class _Learner:
    """What all learners have in common."""

    def __init__(self, settings: TrainingSettings) -> None:
        self._settings = settings

    def labeller(self, network: nn.Module) -> Labeller:
        """What gives every point of a cloud its class, with a deployed network."""
        settings = self._settings
        return class_labels(make_labeller(copy.deepcopy(network), settings.network, settings.voxel_size_m))


class NetworkLearner(_Learner):
    """One network, one batch a step."""

    parts = 1

    def __init__(self, settings: TrainingSettings, classes: int) -> None:
        super().__init__(settings)
        network = build_network(settings.network, classes)
        assert isinstance(network, SegmentationNetwork)
        self._network = network
        self.module: nn.Module = network

    def scores(self, batch: Batch, step: int, part: int) -> Tensor:
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

    def __init__(self, settings: TrainingSettings, classes: int) -> None:
        super().__init__(settings)
        self.module: nn.Module = build_network(settings.network, classes)

    def scores(self, batch: Batch, step: int, part: int) -> Tensor:
        """Class scores of a step's batch, float [N, classes]."""
        assert isinstance(batch, BlockBatch)
        scores: Tensor = self.module(batch.features)
        return scores.transpose(1, 2).flatten(0, 1)

    def deployed(self, module: nn.Module, calibration: Iterable[Batch]) -> nn.Module:
        """The network as it is."""
        return copy.deepcopy(module)


class SupernetLearner(_Learner):
    """Some networks of a supernet a step, each with a batch of its own."""

    def __init__(self, settings: TrainingSettings, classes: int) -> None:
        super().__init__(settings)
        assert settings.supernet is not None
        assert isinstance(settings.network, SpvnasSettings)
        elasticity = settings.supernet.elasticity.model_dump()
        self.space = SupernetSpace(largest=settings.network.architecture, **elasticity)
        self.parts = settings.supernet.networks_per_step
        self._supernet = Supernet(self.space, classes, settings.network.input_channels)
        self.module: nn.Module = self._supernet

    def scores(self, batch: Batch, step: int, part: int) -> Tensor:
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


def make_learner(settings: TrainingSettings, classes: int) -> Learner:
    """The learner that a configuration describes, with fresh weights."""
    kind = BlockLearner if isinstance(settings.network, PvcnnSettings) else NetworkLearner
    learner: Learner = (SupernetLearner if settings.supernet else kind)(settings, classes)
    for module in learner.module.modules():
        if isinstance(module, nn.Dropout):
            module.p = settings.dropout
    return learner


def fold_feature_scale(network: SegmentationNetwork, scale: tuple[float, ...]) -> SegmentationNetwork:
    """Let the first layer take raw features, where it took features times `scale`; changes and returns `network`."""
    with torch.no_grad():
        network.get_parameter(FIRST_KERNEL).mul_(torch.tensor(scale)[:, None])
    return network
