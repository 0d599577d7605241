"""Batches as a function of the step alone, so that a resumed run sees what an uninterrupted one would have seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from perception.models.spvcnn import SPVCNN
from perception.models.voxels import voxelize_frame
from perception.nn.tables import FrameTables
from perception.training.augmentation import augment
from perception.training.clouds import LabelledPoints
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


def batch_of_step(step: int, clouds: Sequence[LabelledPoints], settings: TrainingSettings) -> Batch:
    """Draw, augment and voxelise the clouds of a step (counted from 0)."""
    parts = []
    for number in range(settings.batch_size):
        sample = step * settings.batch_size + number
        rng = np.random.default_rng([settings.seed, sample])
        cloud = clouds[_cloud_of_sample(sample, len(clouds), settings.seed)]
        points, class_ids = augment(cloud.points, cloud.class_ids, settings.augmentation, rng)
        voxels = voxelize_frame(points, settings.voxel_size_m, batch=number)
        parts.append((voxels.coords, voxels.features, class_ids[voxels.first]))
    coords, features, classes = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    tables = FrameTables(coords).fill(SPVCNN.levels, SPVCNN.point_levels)
    scaled = features * np.array(settings.feature_scale, np.float32)
    return Batch(tables, torch.from_numpy(scaled), torch.from_numpy(classes).long())


def prefetched(steps: range, clouds: Sequence[LabelledPoints], settings: TrainingSettings) -> Iterator[Batch]:
    """The batches of the steps in order, the next one being made while the caller uses one."""
    with ThreadPoolExecutor(max_workers=1) as worker:
        coming = worker.submit(batch_of_step, steps.start, clouds, settings) if steps else None
        for step in steps:
            assert coming is not None
            batch = coming.result()
            if step + 1 < steps.stop:
                coming = worker.submit(batch_of_step, step + 1, clouds, settings)
            yield batch


def _cloud_of_sample(sample: int, cloud_count: int, seed: int) -> int:
    """Every cloud once an epoch, in an order of the epoch's own."""
    epoch, place = divmod(sample, cloud_count)
    return int(np.random.default_rng([seed, 1, epoch]).permutation(cloud_count)[place])
