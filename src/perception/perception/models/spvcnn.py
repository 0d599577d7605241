"""SPVCNN (Tang et al., SPVNAS, ECCV 2020): a sparse U-Net with a high-resolution point branch.

Parameter names, layouts and arithmetic are those of the official SemanticKITTI networks, so that published checkpoints
load unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from perception.models.unet import PointVoxelUNet, StepUp
from perception.nn.blocks import BatchNorm, ConvolutionBlock, ReLU, ResidualBlock
from perception.nn.convolution import Conv3d

OFFICIAL_CHANNELS = (32, 32, 64, 128, 256, 256, 128, 96, 96)


class SPVCNN(PointVoxelUNet):
    """Semantic segmentation of voxels.

    Args:
        classes: how many.
        width: multiplies the official channel counts (the official code's `cr`).
        input_channels: features of each voxel; 4 for x, y, z (metres) and intensity.
    """

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

    def steps_down(self) -> Sequence[nn.Module]:
        """Steps 1 to 2, 2 to 4, 4 to 8, 8 to 16."""
        return self.stage1, self.stage2, self.stage3, self.stage4

    def steps_up(self) -> Sequence[StepUp]:
        """Steps 16 to 8, 8 to 4, 4 to 2, 2 to 1."""
        return [(stage[0], stage[1]) for stage in (self.up1, self.up2, self.up3, self.up4)]


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
