"""Which objects KITTI counts as easy, moderate and hard, and the same by what is known without an image.

Source: Geiger et al., "Are we ready for autonomous driving? The KITTI vision benchmark suite", CVPR 2012, and the
benchmark's page. Each level holds the ones before it: whatever is easy is counted at the hard level too. So an object
has one number, the first level that counts it: 0 easy, 1 moderate, 2 hard, 3 none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVELS = ("easy", "moderate", "hard")

Levels = NDArray[np.int64]

LEAST_HEIGHT_PX = (40, 25, 25)
#: 0 fully visible, 1 partly occluded, 2 largely occluded, 3 unknown.
MOST_OCCLUSION = (0, 1, 2)
#: The share of an object that lies outside of the image.
MOST_TRUNCATION = (0.15, 0.30, 0.50)


def levels_in_image(heights_px: ArrayLike, occlusions: ArrayLike, truncations: ArrayLike) -> Levels:
    """Give KITTI's own level of true objects.

    Args:
        heights_px: float [M], of the boxes in the image.
        occlusions: int [M], 0 to 3 as in the label files.
        truncations: float [M], 0 to 1.

    Returns:
        int64 [M], 0 to 3.
    """
    by_height = levels_from(LEAST_HEIGHT_PX, heights_px)
    return np.maximum.reduce([by_height, levels_up_to(MOST_OCCLUSION, occlusions), _by_truncation(truncations)])


def levels_of_heights(heights_px: ArrayLike) -> Levels:
    """Give KITTI's level of detections, of which only the height in the image counts: float [N] to int64 [N]."""
    return levels_from(LEAST_HEIGHT_PX, heights_px)


def levels_from(least: Sequence[float], values: ArrayLike) -> Levels:
    """Give the first level whose least value is reached, such as of numbers of points.

    Args:
        least: the least value of each level, easiest first, none larger than the one before.
        values: [M]; NaN reaches no level.

    Returns:
        int64 [M], 0 to the number of levels.
    """
    return _first_true(np.asarray(values)[:, None] >= np.asarray(least))


def levels_up_to(most: Sequence[float], values: ArrayLike) -> Levels:
    """Give the first level whose largest value is not exceeded, such as of distances; else as `levels_from`."""
    return _first_true(np.asarray(values)[:, None] <= np.asarray(most))


def _by_truncation(truncations: ArrayLike) -> Levels:
    # Label files give two decimals; as float32, 0.15 and 0.3 would be more than the limits.
    return levels_up_to(MOST_TRUNCATION, np.asarray(truncations, np.float64).round(6))


def _first_true(reached: NDArray[Any]) -> Levels:
    """The first true column of each row of bool [M, L]; L where there is none."""
    return (~reached).sum(axis=1)
