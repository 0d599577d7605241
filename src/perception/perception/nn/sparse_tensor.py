"""Features on the voxels of one level of a frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from perception.nn.tables import Array, FrameTables


@dataclass(frozen=True)
class SparseTensor:
    """Features of the voxels of one level.

    Attributes:
        features: float [N, C], one row a voxel of the level, in the order of `tables.coords(stride)`.
        tables: coordinates and neighbour tables, shared by all tensors of the frame.
        stride: the level, 1, 2, 4, ...; voxels are `stride` input voxels wide.
    """

    features: Tensor
    tables: FrameTables
    stride: int = 1

    @property
    def coords(self) -> Array:
        """Voxel coordinates, int32 [N, 4]: batch, x, y, z in units of the level."""
        return self.tables.coords(self.stride)

    def with_features(self, features: Tensor) -> SparseTensor:
        """The same voxels with other features."""
        return replace(self, features=features)


def concatenate(tensors: list[SparseTensor]) -> SparseTensor:
    """Stack the channels of tensors on the same voxels, in the order given."""
    return tensors[0].with_features(torch.cat([tensor.features for tensor in tensors], dim=1))
