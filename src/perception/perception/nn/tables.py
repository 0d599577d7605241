"""A frame's voxels at every stride, and the kernel maps between them, each computed once.

A level of stride s holds the voxels floor(c / s) of the input voxels c (the rule of torchsparse 1.x, under which the
published networks were trained); its coordinates count in units of the level: 0, 1, 2, not multiples of s.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from perception.nn import _shim as ops


class FrameTables:
    """Coordinates and neighbour tables of one batch of voxel clouds.

    Tables are int32 [rows of the output level, kernel volume]: the input row of each kernel offset, -1 where there is
    none. Every layer of a network that works on the same level shares them.
    """

    def __init__(self, coords: Tensor) -> None:
        """Start from the input voxels.

        Args:
            coords: int32 [N, 4], batch, x, y, z; each row once.
        """
        self._coords: dict[int, Tensor] = {1: coords}
        self._submanifold: dict[int, Tensor] = {}
        self._down: dict[int, Tensor] = {}
        self._up: dict[int, tuple[Tensor, Tensor]] = {}
        self._corners: dict[int, tuple[Tensor, Tensor]] = {}

    def fill(self, strides: Iterable[int], corner_strides: Iterable[int] = ()) -> FrameTables:
        """Compute ahead what a network on these levels will ask for, so that it can be timed apart."""
        for stride in strides:
            self.submanifold(stride)
        for stride in corner_strides:
            self.corners(stride)
        return self

    def coords(self, stride: int) -> Tensor:
        """The voxels of a level, int32 [N, 4] in units of the level."""
        if stride not in self._coords:
            self._coarsen(stride // 2)
        return self._coords[stride]

    def submanifold(self, stride: int) -> Tensor:
        """The 3x3x3 neighbours of each voxel of a level, [N, 27], x fastest."""
        if stride not in self._submanifold:
            self._submanifold[stride] = ops.submanifold_table(self.coords(stride))
        return self._submanifold[stride]

    def down(self, stride: int) -> Tensor:
        """The 2x2x2 voxels of level `stride` in each voxel of level 2 * stride, [M, 8], z fastest."""
        self.coords(2 * stride)
        return self._down[stride]

    def up(self, stride: int) -> tuple[Tensor, Tensor]:
        """The row of level 2 * stride that each voxel of level `stride` lies in, and its offset there.

        Returns:
            int32 [N] rows and uint8 [N] offsets ``4dx + 2dy + dz``.
        """
        self.coords(2 * stride)
        return self._up[stride]

    def ancestors(self, stride: int) -> Tensor:
        """The row of level `stride` that each input voxel lies in, int32 [N]."""
        rows = torch.arange(len(self._coords[1]), dtype=torch.int32)
        level = 1
        while level < stride:
            rows = self.up(level)[0][rows]
            level *= 2
        return rows

    def corners(self, stride: int) -> tuple[Tensor, Tensor]:
        """The 8 voxels of a level around each input voxel and their trilinear weights, int32 and float32 [N, 8]."""
        if stride not in self._corners:
            points = self._coords[1].float()
            self._corners[stride] = ops.trilinear_table(points, self.coords(stride), stride)
        return self._corners[stride]

    def _coarsen(self, stride: int) -> None:
        coarser = ops.downsample(self.coords(stride))
        self._coords[2 * stride] = coarser.coords
        self._up[stride] = (coarser.parent, coarser.offset)
        self._down[stride] = ops.strided_table(coarser.parent, coarser.offset, len(coarser.coords))
