"""MinkUNet (Choy et al., CVPR 2019) in the form of the official SPVNAS release: SPVCNN without its point branch."""

from __future__ import annotations

from torch import Tensor

from perception.models.spvcnn import SPVCNN
from perception.models.unet import ascend
from perception.nn.sparse_tensor import SparseTensor
from perception.nn.tables import FrameTables


class MinkUNet(SPVCNN):
    """Semantic segmentation of voxels with sparse convolutions alone.

    The official checkpoints hold three point transforms that nothing uses; so does this network, so that they load
    unchanged. Arguments as of `SPVCNN`.
    """

    point_levels = ()

    def __init__(self, classes: int = 19, width: float = 1.0, input_channels: int = 4) -> None:
        super().__init__(classes, width, input_channels)
        self.point_transforms.requires_grad_(False)  # distributed training waits for the gradient of each parameter

    def label(self, tables: FrameTables, features: Tensor) -> Tensor:
        """`forward` on tables that the caller made, and may have filled beforehand."""
        down1, down2, down3, down4 = self.steps_down()
        up1, up2, up3, up4 = self.steps_up()
        x0 = self.stem(SparseTensor(features, tables))
        x1 = down1(x0)
        x2 = down2(x1)
        x3 = down3(x2)
        x4 = down4(x3)
        y1 = ascend(up1, x4, x3)
        y2 = ascend(up2, y1, x2)
        y3 = ascend(up3, y2, x1)
        y4 = ascend(up4, y3, x0)
        scores: Tensor = self.classifier(y4.features)
        return scores
