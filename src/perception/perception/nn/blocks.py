"""The blocks that the official MinkUNet and SPVCNN are made of; attribute names are those of their checkpoints."""

from __future__ import annotations

from torch import nn

from perception.nn.convolution import Conv3d
from perception.nn.sparse_tensor import SparseTensor


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation of each channel over all voxels."""

    def forward(self, tensor: SparseTensor) -> SparseTensor:  # type: ignore[override]
        """Normalise the features."""
        return tensor.with_features(super().forward(tensor.features))


class ReLU(nn.Module):
    """The positive part of each feature."""

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Rectify the features."""
        return tensor.with_features(tensor.features.relu())


class ConvolutionBlock(nn.Module):
    """Convolution, batch norm, ReLU; with `transposed` the official BasicDeconvolutionBlock."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 3, transposed: bool = False) -> None:
        super().__init__()
        convolution = Conv3d(in_channels, out_channels, kernel_size, transposed)
        self.net = nn.Sequential(convolution, BatchNorm(out_channels), ReLU())

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Apply the three layers."""
        return self.net(tensor)


class ResidualBlock(nn.Module):
    """Two 3x3x3 convolutions beside a shortcut (a 1x1x1 convolution where the width changes); ReLU after the sum."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            Conv3d(in_channels, out_channels),
            BatchNorm(out_channels),
            ReLU(),
            Conv3d(out_channels, out_channels),
            BatchNorm(out_channels),
        )
        self.downsample = nn.Sequential()
        if in_channels != out_channels:
            self.downsample = nn.Sequential(Conv3d(in_channels, out_channels, kernel_size=1), BatchNorm(out_channels))
        self.relu = ReLU()

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Apply both paths and add them."""
        main, shortcut = self.net(tensor), self.downsample(tensor)
        return self.relu(main.with_features(main.features + shortcut.features))
