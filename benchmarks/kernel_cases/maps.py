"""Coordinates and kernel maps beside spconv's (1 thread) and PyTorch, on the voxels of one scan at 0.05 m."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from benchmarks import spconv_peer
from benchmarks.kernel_cases import Case, Context
from benchmarks.spconv_peer import SpconvPeer
from perception import ops

VOXEL_SIZE_M = 0.05
LEVELS = 5
LEAST_OVER_SPCONV = 6.0


class Maps(NamedTuple):
    """All maps of a U-Net: neighbours of every level, children and parents between levels."""

    neighbours: list[np.ndarray]
    children: list[np.ndarray]
    coarser: list[ops.Downsampling]

    def pairs(self) -> np.ndarray:
        """How many pairs of rows each level has, and each step between levels: from fine to coarse."""
        tables = [table for both in zip(self.neighbours, [*self.children, None], strict=True) for table in both]
        return np.array([np.count_nonzero(table >= 0) for table in tables if table is not None])


def build_maps(coords: np.ndarray, levels: int, threads: int) -> Maps:
    """Build what a network with this many levels needs, once."""
    maps = Maps([ops.submanifold_table(coords, threads=threads)], [], [])
    for _ in range(levels - 1):
        coarser = ops.downsample(coords, threads=threads)
        coords = coarser.coords
        maps.coarser.append(coarser)
        maps.children.append(ops.strided_table(coarser.parent, coarser.offset, len(coords), threads=threads))
        maps.neighbours.append(ops.submanifold_table(coords, threads=threads))
    return maps


def spconv_cases(context: Context, coords: np.ndarray, spconv: SpconvPeer) -> list[Case]:
    """The maps of all levels, and those of the finest alone."""

    def case(levels: int, name: str, required: float | None) -> Case:
        peer, counts = spconv.prepare("maps", coords, levels)
        check_pairs(build_maps(coords, levels, context.threads), counts)
        return Case(name, lambda: build_maps(coords, levels, context.threads), spconv_peer.NAME, peer, required)

    required = None if context.fast else LEAST_OVER_SPCONV
    return [
        case(LEVELS, f"kernel maps of a U-Net, {LEVELS} levels from {len(coords)} voxels", required),
        case(1, f"submanifold map of {len(coords)} voxels", None),
    ]


def check_pairs(maps: Maps, counts: np.ndarray) -> None:
    """Hold our maps to spconv's numbers of pairs; of symmetric ones it counts the first half only."""
    sizes = [27, *[8, 27] * len(maps.children)]
    theirs = [part.sum() for part in np.split(counts, np.cumsum(sizes)[:-1])]
    voxels = [len(table) for table in maps.neighbours]
    ours = maps.pairs()
    ours[::2] = (ours[::2] - voxels) // 2
    np.testing.assert_array_equal(ours, theirs)


def cases(context: Context) -> list[Case]:
    """Maps, and the distinct voxels of a cloud."""
    size_m = 0.4 if context.fast else VOXEL_SIZE_M
    coords = np.ascontiguousarray(ops.voxelize(context.points, size_m, threads=context.threads).coords)
    points = np.floor(context.points[:, :3] / size_m).astype(np.int32)
    rows = np.concatenate([np.zeros_like(points[:, :1]), points], 1)
    tensor = torch.from_numpy(rows)
    spconv = SpconvPeer.start()
    return [
        *(spconv_cases(context, coords, spconv) if spconv is not None else []),
        Case(
            f"distinct voxels of {len(rows)} points",
            lambda: ops.unique(rows, threads=context.threads),
            "torch.unique",
            lambda: torch.unique(tensor, dim=0, return_inverse=True),
        ),
    ]
