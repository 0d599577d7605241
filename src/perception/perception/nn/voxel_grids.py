"""Occupied voxels of grids of fixed shape, the levels of a VoxelNet, and features on them.

Other than the levels of `perception.nn.tables`, which follow torchsparse, these follow spconv: a level below holds
every voxel of its grid whose window meets an occupied voxel, and windows may overlap, be padded, and differ by axis.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from torch import Tensor

from perception import ops
from perception.nn.backends import Backend
from perception.nn.tables import Array, Level

Three = tuple[int, int, int]


class Window(NamedTuple):
    """What a voxel of the next level reads along x, y and z: voxels o * stride - padding + k, k in 0..size - 1."""

    size: Three
    stride: Three
    padding: Three


class GridLevel(Level):
    """The occupied voxels of a grid.

    Attributes:
        coords: int32 [N, 4], batch, x, y, z, in order of first occurrence.
        shape: voxels of the grid along x, y, z.
        backend: what made the tables, and what layers compute with on them.
    """

    def __init__(self, coords: Array, shape: Three, backend: Backend) -> None:
        super().__init__(backend.coordinates(coords), backend)
        self.shape = shape
        self.backend = backend
        self._below: dict[Window, tuple[GridLevel, Array]] = {}

    def below(self, window: Window) -> tuple[GridLevel, Array]:
        """The level that a strided convolution makes, and the voxels in each of its windows, int32 [M, K], x fastest.

        Both are computed once a window.
        """
        if window not in self._below:
            coords = self.backend.window_outputs(self.coords, *window, shape=self.shape)
            table = self.backend.window_table(self.coords, coords, *window)
            self._below[window] = (GridLevel(coords, ops.output_shape(self.shape, *window), self.backend), table)
        return self._below[window]


@dataclass(frozen=True)
class GridTensor:
    """Features of the voxels of a level.

    Attributes:
        features: float [N, C], in the order of the level's coordinates.
        level: where they are.
    """

    features: Tensor
    level: GridLevel

    def with_features(self, features: Tensor) -> GridTensor:
        """The same voxels with other features."""
        return replace(self, features=features)
