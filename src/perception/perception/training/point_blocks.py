"""Blocks of clouds to learn from, laid where rare classes are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perception.bundle.format import BlockSettings
from perception.classes import IGNORED
from perception.runtime.blocks import block_features
from perception.training.settings import BlockSampling

#: How far the middle of a block lies from the point that it was laid around, in sizes of the block.
OFFSET = 0.4


def random_block(
    points: NDArray[np.float32],
    class_ids: NDArray[np.uint8],
    rng: np.random.Generator,
    blocks: BlockSettings,
    sampling: BlockSampling,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Cut a block out of a cloud: as many points as a block may have, drawn or repeated.

    Args:
        points: float32 [N, 4], N at least 1.
        class_ids: uint8 [N].
        rng: where chance comes from.
        blocks: the size of blocks.
        sampling: where they are laid.

    Returns:
        features float32 [C, P] (see `block_features`) and classes uint8 [P].
    """
    around = points[_drawn_point(class_ids, sampling.balance, rng), :2].astype(np.float64)
    center_m = around + rng.uniform(-OFFSET, OFFSET, 2) * blocks.size_m
    rows = np.flatnonzero((np.abs(points[:, :2] - center_m) <= blocks.half_m).all(1))
    rows = np.resize(rng.permutation(rows), blocks.points)
    return block_features(points[rows], center_m, blocks), class_ids[rows]


def _drawn_point(class_ids: NDArray[np.uint8], balance: float, rng: np.random.Generator) -> int:
    """The row of a point of a drawn class; of any point, if none has a class."""
    counts = np.bincount(class_ids, minlength=IGNORED + 1)[:IGNORED]
    if not counts.any():
        return int(rng.integers(len(class_ids)))
    weights = np.where(counts > 0, np.maximum(counts, 1).astype(np.float64) ** (1 - balance), 0.0)
    drawn = rng.choice(IGNORED, p=weights / weights.sum())
    return int(rng.choice(np.flatnonzero(class_ids == drawn)))
