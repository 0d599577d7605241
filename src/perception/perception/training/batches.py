"""Batches as a function of their samples' numbers alone, so that a resumed run sees what it would have seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from perception.bundle.format import PvcnnSettings
from perception.configuration import ConfigurationError
from perception.models.spvcnn import SPVCNN
from perception.nn.tables import FrameTables
from perception.runtime.voxels import voxelize_frame
from perception.training.augmentation import augment_cloud
from perception.training.batch import Batch
from perception.training.clouds import LabelledPoints
from perception.training.detection.batches import detection_batch
from perception.training.detection.settings import DetectionSettings
from perception.training.object_bank import ObjectBank, object_bank
from perception.training.point_blocks import random_block
from perception.training.prefetching import made_ahead
from perception.training.settings import TrainingSettings

AnySettings = TrainingSettings | DetectionSettings


@dataclass(frozen=True)
class VoxelBatch:
    """Several clouds as one sparse tensor.

    Attributes:
        classes: int64 [N], the class of every voxel.
        tables: voxels of all clouds, with every table that the network needs.
        features: float32 [N, C].
    """

    classes: Tensor
    tables: FrameTables
    features: Tensor

    def to(self, device: torch.device) -> VoxelBatch:
        """The batch in a device's memory."""
        if device.type == "cpu":
            return self
        tables = FrameTables(torch.from_numpy(self.tables.coords(1)).to(device))
        return VoxelBatch(self.classes.to(device), tables, self.features.to(device))


@dataclass(frozen=True)
class BlockBatch:
    """Blocks of clouds, each with the same number of points.

    Attributes:
        classes: int64 [B * P], the class of every point, block by block.
        features: float32 [B, C, P].
    """

    classes: Tensor
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
    settings: AnySettings,
    bank: ObjectBank | None = None,
) -> Batch:
    """Draw and augment the clouds of samples, which depend on nothing but the seed and their numbers."""
    drawn = [_augmented(sample, clouds, settings, bank) for sample in sample_numbers]
    if isinstance(settings, DetectionSettings):
        return detection_batch([cloud for cloud, _ in drawn], settings)
    return (_blocks if isinstance(settings.network, PvcnnSettings) else _voxels)(drawn, settings)


_Drawn = tuple[LabelledPoints, np.random.Generator]


def _augmented(sample: int, clouds: Sequence[LabelledPoints], settings: AnySettings, bank: ObjectBank | None) -> _Drawn:
    rng = np.random.default_rng([settings.seed, sample])
    cloud = clouds[_cloud_of_sample(sample, len(clouds), settings.seed)]
    return augment_cloud(cloud, settings.augmentation, rng, bank), rng


def _voxels(drawn: Sequence[_Drawn], settings: TrainingSettings) -> VoxelBatch:
    parts = []
    for place, (cloud, _) in enumerate(drawn):
        voxels = voxelize_frame(cloud.points, settings.voxel_size_m, batch=place)
        parts.append((voxels.coords, voxels.features, cloud.class_ids[voxels.first]))
    coords, features, classes = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    tables = FrameTables(coords).fill(SPVCNN.levels, SPVCNN.point_levels)
    scaled = features * np.array(settings.feature_scale, np.float32)
    return VoxelBatch(torch.from_numpy(classes).long(), tables, torch.from_numpy(scaled))


def _blocks(drawn: Sequence[_Drawn], settings: TrainingSettings) -> BlockBatch:
    assert isinstance(settings.network, PvcnnSettings)
    parts = [
        random_block(cloud.points, cloud.class_ids, rng, settings.network.blocks, settings.blocks)
        for cloud, rng in drawn
        for _ in range(settings.blocks.per_cloud)
    ]
    features, classes = (np.stack(arrays) for arrays in zip(*parts, strict=True))
    return BlockBatch(torch.from_numpy(classes).long().flatten(), torch.from_numpy(features))


def prefetched(
    jobs: Iterable[Sequence[int]], clouds: Sequence[LabelledPoints], settings: AnySettings
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
