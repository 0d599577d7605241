"""The moving-block bootstrap: how much a figure would vary if the drive had gone a little otherwise.

Source: Künsch, "The jackknife and the bootstrap for general stationary observations", Annals of Statistics 17, 1989.
Neighbouring frames of a drive are alike, so that frames drawn one by one would promise too much. Blocks of consecutive
frames are drawn instead, with replacement and anywhere in the bag, until there are as many frames as before. Bags are
drawn from separately: a block does not run from one into the next, and each keeps its length.

Intervals of short drives are a little too narrow: of 600 frames of which each is 0.6 alike to the next, those that
should hold the truth in 95 % hold it in 91 %, of 300 in 89 %; of frames drawn one by one it would be 66 %.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: Two seconds of a LiDAR that turns ten times a second.
BLOCK_FRAMES = 20
RESAMPLES = 1000
#: Bags that are not this many blocks long are drawn from in shorter blocks: one block alone would always be the same.
LEAST_BLOCKS = 5
#: What an interval of 95 % lies between.
PERCENTILES = (2.5, 97.5)

Weights = NDArray[np.int64]


def draw_weights(bag_frames: Sequence[int], block_frames: int, random: np.random.Generator) -> Weights:
    """Draw frames once.

    Args:
        bag_frames: how many frames each bag has, in order.
        block_frames: the length of a block.
        random: where chance comes from.

    Returns:
        int64 [F], how often each frame was drawn, bag after bag; each bag's sum is its number of frames.
    """
    return np.concatenate([np.zeros(0, np.int64), *(_of_bag(count, block_frames, random) for count in bag_frames)])


def block_length(frames: int, block_frames: int) -> int:
    """Give the length of a bag's blocks."""
    return max(1, min(block_frames, frames // LEAST_BLOCKS))


def _of_bag(frames: int, block_frames: int, random: np.random.Generator) -> Weights:
    length = block_length(frames, block_frames)
    starts = random.integers(0, frames - length + 1, -(-frames // length))
    drawn = (starts[:, None] + np.arange(length)).ravel()[:frames]
    return np.bincount(drawn, minlength=frames)


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Give the 95 % interval of a resampled figure; None where no resample has one.

    Resamples without a value, such as those in which no object of a class occurs, are left out.
    """
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    if not len(known):
        return None
    low, high = np.percentile(known, PERCENTILES)
    return float(low), float(high)
