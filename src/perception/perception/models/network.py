"""What every segmentation network offers to the engine and to training."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from perception.nn.tables import FrameTables


class SegmentationNetwork(nn.Module):
    """Semantic segmentation of voxels.

    Attributes:
        levels: the levels (strides) that it has 3x3x3 convolutions on; the engine prepares their tables.
        point_levels: the levels that it interpolates at the points.
    """

    levels: tuple[int, ...]
    point_levels: tuple[int, ...]

    def forward(self, coords: Any, features: Tensor) -> Tensor:
        """Compute class scores.

        Args:
            coords: int32 [N, 4], voxels: batch, x, y, z; each once; an array or a tensor. Or their tables.
            features: float [N, input_channels].

        Returns:
            float [N, classes], before softmax.
        """
        return self.label(coords if isinstance(coords, FrameTables) else FrameTables(coords), features)

    def label(self, tables: FrameTables, features: Tensor) -> Tensor:
        """`forward` on tables that the caller made, and may have filled beforehand."""
        raise NotImplementedError
