"""A frame's voxels at every stride, and the kernel maps between them, each computed once.

A level of stride s holds the voxels floor(c / s) of the input voxels c (the rule of torchsparse 1.x, under which the
published networks were trained); its coordinates count in units of the level: 0, 1, 2, not multiples of s.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, TypeAlias

from perception.nn.backends import NATIVE, Backend

#: A NumPy array, or a tensor where the voxels are a CUDA tensor or the backend is the reference.
Array: TypeAlias = Any


class Level:
    """The voxels of one stride, and what was computed about them so far.

    Attributes:
        coords: int32 [N, 4], batch, x, y, z in units of the level.
    """

    def __init__(self, coords: Array, backend: Backend) -> None:
        self.coords = coords
        self._backend = backend

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the hash, which lies at addresses of this process; it is built again where it is asked for."""
        return {name: value for name, value in self.__dict__.items() if name != "hash"}

    @cached_property
    def neighbours(self) -> Array:
        """The 3x3x3 neighbours of each voxel, int32 [N, 27], x fastest."""
        return self._backend.submanifold_table(self.coords)

    @cached_property
    def coarser(self) -> Any:
        """The next level, with the row and the place there of each voxel of this one (`ops.Downsampling`)."""
        return self._backend.downsample(self.coords)

    @cached_property
    def children(self) -> Array:
        """The voxels of this level in each voxel of the next, int32 [M, 8], z fastest."""
        return self._backend.strided_table(self.coarser.parent, self.coarser.offset, self.coarser.coords)


class FrameTables:
    """Coordinates and neighbour tables of one batch of voxel clouds, shared by every layer of a network.

    Tables are int32 [rows of the output level, kernel volume]: the input row of each kernel offset, -1 where there is
    none.

    Attributes:
        backend: what made the tables, and what layers compute with on them.
    """

    def __init__(self, coords: Array, backend: Backend = NATIVE) -> None:
        """Start from the input voxels.

        Args:
            coords: int32 [N, 4], batch, x, y, z; each row once; an array or a tensor. Where it is a CUDA tensor, all
                tables lie on its GPU, and so must the features.
            backend: what to compute with.
        """
        self.backend = backend
        self._levels: dict[int, Level] = {1: Level(backend.coordinates(coords), backend)}
        self._corners: dict[int, tuple[Array, Array]] = {}
        self._ancestors: dict[int, Array] = {}

    def fill(self, strides: Iterable[int], point_strides: Iterable[int] = ()) -> FrameTables:
        """Compute ahead what a network with 3x3x3 convolutions on these levels and with a point branch asks for."""
        for stride in strides:
            _ = self.level(stride).neighbours
            if stride > 1:
                _ = self.down(stride // 2)
        for stride in point_strides:
            self.corners(stride)
        return self

    def level(self, stride: int) -> Level:
        """The level of a stride, 1, 2, 4, ..."""
        if stride not in self._levels:
            self._levels[stride] = Level(self.level(stride // 2).coarser.coords, self.backend)
        return self._levels[stride]

    def coords(self, stride: int) -> Array:
        """The voxels of a level, int32 [N, 4] in units of the level."""
        return self.level(stride).coords

    def submanifold(self, stride: int) -> Array:
        """The 3x3x3 neighbours of each voxel of a level, [N, 27], x fastest."""
        return self.level(stride).neighbours

    def down(self, stride: int) -> Array:
        """The 2x2x2 voxels of level `stride` in each voxel of level 2 * stride, [M, 8], z fastest."""
        return self.level(stride).children

    def up(self, stride: int) -> tuple[Array, Array]:
        """The row of level 2 * stride that each voxel of level `stride` lies in, and its offset there.

        Returns:
            int32 [N] rows and uint8 [N] offsets ``4dx + 2dy + dz``.
        """
        coarser = self.level(stride).coarser
        return coarser.parent, coarser.offset

    def ancestors(self, stride: int) -> Array:
        """The row of level `stride` (2, 4, ...) that each input voxel lies in, int32 [N]."""
        if stride not in self._ancestors:
            parent = self.up(stride // 2)[0]
            self._ancestors[stride] = parent if stride == 2 else parent[self.ancestors(stride // 2)]
        return self._ancestors[stride]

    def corners(self, stride: int) -> tuple[Array, Array]:
        """The 8 voxels of a level around each input voxel and their trilinear weights, int32 and float32 [N, 8]."""
        if stride not in self._corners:
            self._corners[stride] = self.backend.trilinear_table(self.coords(1), self.coords(stride), stride)
        return self._corners[stride]
