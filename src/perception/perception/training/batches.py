"""Batches as a function of their samples' numbers alone, so that a resumed run sees what it would have seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from perception.bundle.format import PvcnnSettings
from perception.configuration import ConfigurationError
from perception.models.spvcnn import SPVCNN
from perception.nn.tables import FrameTables
from perception.runtime.voxels import voxelize_frame
from perception.training.augmentation import augment
from perception.training.clouds import LabelledPoints
from perception.training.object_bank import ObjectBank, object_bank
from perception.training.point_blocks import random_block
from perception.training.prefetching import made_ahead
from perception.training.settings import TrainingSettings


@dataclass(frozen=True)
class Batch:
    """What a network is taught at once.

    Attributes:
        classes: int64 [N], the class of every voxel or point that the network scores.
    """

    classes: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch in a device's memory."""
        raise NotImplementedError


@dataclass(frozen=True)
class VoxelBatch(Batch):
    """Several clouds as one sparse tensor.

    Attributes:
        tables: voxels of all clouds, with every table that the network needs.
        features: float32 [N, C].
    """

    tables: FrameTables
    features: Tensor

    def to(self, device: torch.device) -> VoxelBatch:
        """The batch in a device's memory."""
        if device.type == "cpu":
            return self
        tables = FrameTables(torch.from_numpy(self.tables.coords(1)).to(device))
        return VoxelBatch(self.classes.to(device), tables, self.features.to(device))


@dataclass(frozen=True)
class BlockBatch(Batch):
    """Blocks of clouds, each with the same number of points.

    Attributes:
        features: float32 [B, C, P]; `classes` are those of its points, block by block, int64 [B * P].
    """

    features: Tensor

    def to(self, device: torch.device) -> BlockBatch:
        """The batch in a device's memory."""
        return BlockBatch(self.classes.to(device), self.features.to(device))


def samples_of_part(step: int, part: int, parts: int, batch_size: int) -> range:
    """The sample numbers of one of the `parts` of a step (counted from 0)."""
    first = (step * parts + part) * batch_size
    return range(first, first + batch_size)


def make_batch(
    sample_numbers: Sequence[int],
    clouds: Sequence[LabelledPoints],
    settings: TrainingSettings,
    bank: ObjectBank | None = None,
) -> Batch:
    """Draw and augment the clouds of samples, which depend on nothing but the seed and their numbers."""
    collect = _blocks if isinstance(settings.network, PvcnnSettings) else _voxels
    return collect([_augmented(sample, clouds, settings, bank) for sample in sample_numbers], settings)


class _AugmentedCloud(NamedTuple):
    points: NDArray[np.float32]
    class_ids: NDArray[np.uint8]
    rng: np.random.Generator


def _augmented(
    sample: int, clouds: Sequence[LabelledPoints], settings: TrainingSettings, bank: ObjectBank | None
) -> _AugmentedCloud:
    rng = np.random.default_rng([settings.seed, sample])
    cloud = clouds[_cloud_of_sample(sample, len(clouds), settings.seed)]
    return _AugmentedCloud(*augment(cloud.points, cloud.class_ids, settings.augmentation, rng, bank), rng)


def _voxels(drawn: Sequence[_AugmentedCloud], settings: TrainingSettings) -> VoxelBatch:
    parts = []
    for place, cloud in enumerate(drawn):
        voxels = voxelize_frame(cloud.points, settings.voxel_size_m, batch=place)
        parts.append((voxels.coords, voxels.features, cloud.class_ids[voxels.first]))
    coords, features, classes = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    tables = FrameTables(coords).fill(SPVCNN.levels, SPVCNN.point_levels)
    scaled = features * np.array(settings.feature_scale, np.float32)
    return VoxelBatch(torch.from_numpy(classes).long(), tables, torch.from_numpy(scaled))


def _blocks(drawn: Sequence[_AugmentedCloud], settings: TrainingSettings) -> BlockBatch:
    assert isinstance(settings.network, PvcnnSettings)
    parts = [
        random_block(*cloud, settings.network.blocks, settings.blocks)
        for cloud in drawn
        for _ in range(settings.blocks.per_cloud)
    ]
    features, classes = (np.stack(arrays) for arrays in zip(*parts, strict=True))
    return BlockBatch(torch.from_numpy(classes).long().flatten(), torch.from_numpy(features))


def prefetched(
    jobs: Iterable[Sequence[int]], clouds: Sequence[LabelledPoints], settings: TrainingSettings
) -> Iterator[Batch]:
    """The batches of lists of sample numbers in order, made in the background as `settings.workers` says.

    Raises:
        ConfigurationError: objects shall be pasted, but the clouds have none.
    """
    bank = object_bank(clouds, settings.data.classes) if settings.augmentation.paste else None
    if bank is not None and not bank.objects:
        raise ConfigurationError(
            "no objects to paste: the training's clouds tell none apart; set augmentation.paste to 0"
        )
    make = partial(make_batch, clouds=clouds, settings=settings, bank=bank)
    return made_ahead(make, jobs, settings.workers)


def _cloud_of_sample(sample: int, cloud_count: int, seed: int) -> int:
    """Every cloud once an epoch, in an order of the epoch's own."""
    epoch, place = divmod(sample, cloud_count)
    return int(np.random.default_rng([seed, 1, epoch]).permutation(cloud_count)[place])
