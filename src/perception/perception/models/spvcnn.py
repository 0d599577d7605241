"""SPVCNN (Tang et al., SPVNAS, ECCV 2020): a sparse U-Net with a high-resolution point branch.

Parameter names, layouts and arithmetic are those of the official SemanticKITTI networks, so that published checkpoints
load unchanged.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from perception.nn.blocks import BatchNorm, ConvolutionBlock, ReLU, ResidualBlock
from perception.nn.convolution import Conv3d
from perception.nn.exchange import points_from_voxels, voxels_from_points
from perception.nn.sparse_tensor import SparseTensor, concatenate
from perception.nn.tables import FrameTables

OFFICIAL_CHANNELS = (32, 32, 64, 128, 256, 256, 128, 96, 96)
DROPOUT = 0.3


class SPVCNN(nn.Module):
    """Semantic segmentation of voxels.

    Args:
        classes: how many.
        width: multiplies the official channel counts (the official code's `cr`).
        input_channels: features of each voxel; 4 for x, y, z (metres) and intensity.
    """

    #: The levels (strides) that it has convolutions on, and those that it exchanges with the points.
    levels = (1, 2, 4, 8, 16)
    point_levels = (4, 16)

    def __init__(self, classes: int = 19, width: float = 1.0, input_channels: int = 4) -> None:
        super().__init__()
        c = [int(width * channels) for channels in OFFICIAL_CHANNELS]
        self.stem = nn.Sequential(
            Conv3d(input_channels, c[0]), BatchNorm(c[0]), ReLU(), Conv3d(c[0], c[0]), BatchNorm(c[0]), ReLU()
        )
        self.stage1 = _encoder_stage(c[0], c[1])
        self.stage2 = _encoder_stage(c[1], c[2])
        self.stage3 = _encoder_stage(c[2], c[3])
        self.stage4 = _encoder_stage(c[3], c[4])
        self.up1 = _decoder_stage(c[4], c[3], c[5])
        self.up2 = _decoder_stage(c[5], c[2], c[6])
        self.up3 = _decoder_stage(c[6], c[1], c[7])
        self.up4 = _decoder_stage(c[7], c[0], c[8])
        self.classifier = nn.Sequential(nn.Linear(c[8], classes))
        self.point_transforms = nn.ModuleList(
            [_point_transform(c[0], c[4]), _point_transform(c[4], c[6]), _point_transform(c[6], c[8])]
        )
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, coords: Any, features: Tensor) -> Tensor:
        """Compute class scores.

        Args:
            coords: int32 [N, 4], voxels: batch, x, y, z; each once; an array or a tensor.
            features: float [N, input_channels].

        Returns:
            float [N, classes], before softmax.
        """
        return self.label(FrameTables(coords), features)

    def label(self, tables: FrameTables, features: Tensor) -> Tensor:
        """`forward` on tables that the caller made, and may have filled beforehand."""
        x0 = self.stem(SparseTensor(features, tables))
        z0 = points_from_voxels(x0)
        x1 = self.stage1(voxels_from_points(z0, tables, 1))
        x2 = self.stage2(x1)
        x3 = self.stage3(x2)
        x4 = self.stage4(x3)
        z1 = points_from_voxels(x4) + self.point_transforms[0](z0)
        y1 = self._ascend(self.up1, voxels_from_points(self.dropout(z1), tables, 16), x3)
        y2 = self._ascend(self.up2, y1, x2)
        z2 = points_from_voxels(y2) + self.point_transforms[1](z1)
        y3 = self._ascend(self.up3, voxels_from_points(self.dropout(z2), tables, 4), x1)
        y4 = self._ascend(self.up4, y3, x0)
        z3 = points_from_voxels(y4) + self.point_transforms[2](z2)
        return self.classifier(z3)

    @staticmethod
    def _ascend(stage: nn.ModuleList, tensor: SparseTensor, skip: SparseTensor) -> SparseTensor:
        deconvolution, residuals = stage
        return residuals(concatenate([deconvolution(tensor), skip]))


def _encoder_stage(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        ConvolutionBlock(in_channels, in_channels, kernel_size=2),
        ResidualBlock(in_channels, out_channels),
        ResidualBlock(out_channels, out_channels),
    )


def _decoder_stage(in_channels: int, skip_channels: int, out_channels: int) -> nn.ModuleList:
    residuals = nn.Sequential(
        ResidualBlock(out_channels + skip_channels, out_channels), ResidualBlock(out_channels, out_channels)
    )
    return nn.ModuleList([ConvolutionBlock(in_channels, out_channels, kernel_size=2, transposed=True), residuals])


def _point_transform(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(in_channels, out_channels), nn.BatchNorm1d(out_channels), nn.ReLU(inplace=True))
