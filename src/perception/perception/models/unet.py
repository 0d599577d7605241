"""The recipe that SPVCNN and SPVNAS share: a sparse U-Net with a high-resolution point branch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from perception.models.network import SegmentationNetwork
from perception.nn.exchange import points_from_voxels, voxels_from_points
from perception.nn.sparse_tensor import SparseTensor, concatenate
from perception.nn.tables import FrameTables

DROPOUT = 0.3

#: A step up: the transposed convolution, and what follows the concatenation with the skip.
StepUp = tuple[Callable[[SparseTensor], SparseTensor], Callable[[SparseTensor], SparseTensor]]


class PointVoxelUNet(SegmentationNetwork):
    """Semantic segmentation of voxels (Tang et al., SPVNAS, ECCV 2020, figure 2).

    Subclasses build the parts under the names of their checkpoints: `stem`, `point_transforms` (3) and `classifier`,
    and give the steps between the levels as `steps_down` and `steps_up`.
    """

    #: The levels (strides) that it has convolutions on, and those that it exchanges with the points.
    levels: tuple[int, ...] = (1, 2, 4, 8, 16)
    point_levels: tuple[int, ...] = (4, 16)

    stem: nn.Module
    point_transforms: nn.ModuleList
    classifier: nn.Module

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(DROPOUT)

    def steps_down(self) -> Sequence[Callable[[SparseTensor], SparseTensor]]:
        """Steps 1 to 2, 2 to 4, 4 to 8, 8 to 16."""
        raise NotImplementedError

    def steps_up(self) -> Sequence[StepUp]:
        """Steps 16 to 8, 8 to 4, 4 to 2, 2 to 1."""
        raise NotImplementedError

    def label(self, tables: FrameTables, features: Tensor) -> Tensor:
        """`forward` on tables that the caller made, and may have filled beforehand."""
        down1, down2, down3, down4 = self.steps_down()
        up1, up2, up3, up4 = self.steps_up()
        x0 = self.stem(SparseTensor(features, tables))
        z0 = points_from_voxels(x0)
        x1 = down1(voxels_from_points(z0, tables, 1))
        x2 = down2(x1)
        x3 = down3(x2)
        x4 = down4(x3)
        z1 = points_from_voxels(x4) + self.point_transforms[0](z0)
        y1 = ascend(up1, voxels_from_points(self.dropout(z1), tables, 16), x3)
        y2 = ascend(up2, y1, x2)
        z2 = points_from_voxels(y2) + self.point_transforms[1](z1)
        y3 = ascend(up3, voxels_from_points(self.dropout(z2), tables, 4), x1)
        y4 = ascend(up4, y3, x0)
        z3 = points_from_voxels(y4) + self.point_transforms[2](z2)
        scores: Tensor = self.classifier(z3)
        return scores


def ascend(step: StepUp, tensor: SparseTensor, skip: SparseTensor) -> SparseTensor:
    """Step up, with the features of the encoder's level beside those that come from below."""
    deconvolution, residuals = step
    return residuals(concatenate([deconvolution(tensor), skip]))
