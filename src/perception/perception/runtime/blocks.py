"""Cutting a sweep into square blocks, the small scenes that a PVCNN takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perception.bundle.format import BlockSettings

#: Features of a point in its block: x, y, z in -1..1, intensity, distance from the sensor, height over the ground, and
#: 1, by which the convolutions know a voxel with points from an empty one.
BLOCK_FEATURES = 7
#: Brings the distance from the sensor to about 1.
DISTANCE_M = 50.0
#: The share of a block's points that may lie below what counts as its ground: returns from mirrors, noise.
BELOW_GROUND = 0.02


@dataclass(frozen=True)
class Block:
    """Some points of a sweep that are labelled together.

    Attributes:
        center_m: float64 [2], x and y of the block's middle.
        rows: int64 [N], its points.
        inside: bool [N], the points that it labels; the others, in its margin, are labelled by its neighbours.
    """

    center_m: NDArray[np.float64]
    rows: NDArray[np.int64]
    inside: NDArray[np.bool_]


def cut_into_blocks(points: NDArray[np.float32], settings: BlockSettings) -> Iterator[Block]:
    """Cut a sweep into squares beside each other, each point being inside exactly one block.

    A square with more points than a block may have becomes several blocks, among which its points are dealt.

    Args:
        points: float32 [N, >=2], x, y in metres, finite.
        settings: the size of blocks.
    """
    squares = np.floor(points[:, :2].astype(np.float64) / settings.size_m).astype(np.int64)
    order = np.lexsort((squares[:, 0], squares[:, 1]))
    ordered = squares[order]
    # One number for each square that grows in that order: the squares of one row beside each other are one slice.
    low, high = (ordered.min(0), ordered.max(0)) if len(ordered) else (np.zeros(2, int), np.zeros(2, int))
    width = high[0] - low[0] + 3
    keys = (ordered[:, 1] - low[1]) * width + ordered[:, 0] - low[0] + 1
    for key in np.unique(keys):
        starts = key + width * np.array([-1, 0, 1])
        slices = zip(np.searchsorted(keys, starts - 1), np.searchsorted(keys, starts + 1, "right"), strict=True)
        rows = np.concatenate([order[start:stop] for start, stop in slices])
        square = low + np.array([key % width - 1, key // width])
        yield from _blocks_of_square(points, rows, (square + 0.5) * settings.size_m, settings)


def _blocks_of_square(
    points: NDArray[np.float32], rows: NDArray[np.int64], center_m: NDArray[np.float64], settings: BlockSettings
) -> Iterator[Block]:
    squares = np.floor(points[rows, :2].astype(np.float64) / settings.size_m)
    offsets_m = np.abs(points[rows, :2] - center_m).max(1)
    near = offsets_m <= settings.half_m
    inside = (squares == np.floor(center_m / settings.size_m)).all(1)
    rows, inside = rows[near | inside], inside[near | inside]
    parts = -(-len(rows) // settings.points)
    # Dealt in the order of a fixed shuffle: an even sample of the square for each, and the same result every time.
    shuffled = np.random.default_rng(0).permutation(len(rows)) if parts > 1 else np.arange(len(rows))
    for part in range(parts):
        dealt = shuffled[part::parts]
        yield Block(center_m, rows[dealt], inside[dealt])


def block_features(
    points: NDArray[np.float32], center_m: NDArray[np.float64], settings: BlockSettings
) -> NDArray[np.float32]:
    """Describe the points of a block to the network.

    Args:
        points: float32 [N, 4], x, y, z in metres around the sensor, and intensity; N at least 1.
        center_m: x and y of the block's middle.
        settings: the size of blocks.

    Returns:
        float32 [BLOCK_FEATURES, N]; the first three lie in -1..1 (heights out of range are clamped).
    """
    low_m, high_m = settings.height_m
    z = points[:, 2]
    local = np.clip((points[:, :2] - center_m) / settings.half_m, -1, 1).T
    height = np.clip((z - low_m) * (2 / (high_m - low_m)) - 1, -1, 1)
    ground = np.partition(z, int(BELOW_GROUND * len(z)))[int(BELOW_GROUND * len(z))]
    above = np.clip((z - ground) * (2 / (high_m - low_m)), -1, 2)
    distance = np.hypot(points[:, 0], points[:, 1]) / DISTANCE_M
    return np.stack([*local, height, points[:, 3], distance, above, np.ones_like(z)]).astype(np.float32)
