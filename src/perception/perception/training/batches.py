"""Batches as a function of their samples' numbers alone, so that a resumed run sees what it would have seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from perception.classes import SEMANTIC_KITTI
from perception.models.spvcnn import SPVCNN
from perception.models.voxels import voxelize_frame
from perception.nn.tables import FrameTables
from perception.training.augmentation import augment
from perception.training.clouds import LabelledPoints
from perception.training.pasting import ObjectBank, object_bank
from perception.training.prefetching import made_ahead
from perception.training.settings import TrainingSettings


@dataclass(frozen=True)
class Batch:
    """Several clouds as one sparse tensor.

    Attributes:
        tables: voxels of all clouds, with every table that the network needs.
        features: float32 [N, C].
        classes: int64 [N].
    """

    tables: FrameTables
    features: Tensor
    classes: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch in a device's memory."""
        if device.type == "cpu":
            return self
        tables = FrameTables(torch.from_numpy(self.tables.coords(1)).to(device))
        return Batch(tables, self.features.to(device), self.classes.to(device))


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
    """Draw, augment and voxelise the clouds of samples, which depend on nothing but the seed and their numbers."""
    parts = []
    for place, sample in enumerate(sample_numbers):
        rng = np.random.default_rng([settings.seed, sample])
        cloud = clouds[_cloud_of_sample(sample, len(clouds), settings.seed)]
        points, class_ids = augment(cloud.points, cloud.class_ids, settings.augmentation, rng, bank)
        voxels = voxelize_frame(points, settings.voxel_size_m, batch=place)
        parts.append((voxels.coords, voxels.features, class_ids[voxels.first]))
    coords, features, classes = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    tables = FrameTables(coords).fill(SPVCNN.levels, SPVCNN.point_levels)
    scaled = features * np.array(settings.feature_scale, np.float32)
    return Batch(tables, torch.from_numpy(scaled), torch.from_numpy(classes).long())


def prefetched(
    jobs: Iterable[Sequence[int]], clouds: Sequence[LabelledPoints], settings: TrainingSettings
) -> Iterator[Batch]:
    """The batches of lists of sample numbers in order, made in the background as `settings.workers` says."""
    bank = object_bank(clouds, SEMANTIC_KITTI) if settings.augmentation.paste else None
    make = partial(make_batch, clouds=clouds, settings=settings, bank=bank)
    return made_ahead(make, jobs, settings.workers)


def _cloud_of_sample(sample: int, cloud_count: int, seed: int) -> int:
    """Every cloud once an epoch, in an order of the epoch's own."""
    epoch, place = divmod(sample, cloud_count)
    return int(np.random.default_rng([seed, 1, epoch]).permutation(cloud_count)[place])
