"""Point-voxel exchange (Tang et al., SPVNAS, ECCV 2020): features travel between points and voxels of any level.

As in the official networks, the points of the point branch are the input voxels, one each. Between them and level 1 the
exchange is therefore the identity. (The official code multiplies and divides the coordinates by the voxel size first,
in float32, which moves a feature by about 1e-5 of itself.)
"""

from __future__ import annotations

from torch import Tensor

from perception.nn.sparse_tensor import SparseTensor
from perception.nn.tables import FrameTables


def points_from_voxels(tensor: SparseTensor) -> Tensor:
    """Interpolate a level's features at the points, trilinearly over the corners that exist.

    Returns:
        float [N, C], one row an input voxel.
    """
    if tensor.stride == 1:
        return tensor.features
    return tensor.tables.backend.devoxelize(tensor.features, *tensor.tables.corners(tensor.stride))


def voxels_from_points(features: Tensor, tables: FrameTables, stride: int) -> SparseTensor:
    """Average the features of the points (float [N, C]) in each voxel of a level."""
    if stride > 1:
        features = tables.backend.scatter_mean(features, tables.ancestors(stride), tables.coords(stride))
    return SparseTensor(features, tables, stride)
