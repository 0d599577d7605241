"""The blocks that the official MinkUNet and SPVCNN are made of; attribute names are those of their checkpoints."""

from __future__ import annotations

from collections import OrderedDict

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
    """Convolution, batch norm and, unless told otherwise, ReLU.

    Args:
        in_channels, out_channels, kernel_size, transposed: of the convolution.
        relu: whether a ReLU follows.
        names: of the three layers; the super-network of SPVNAS calls them conv, bn and act, the others number them.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        transposed: bool = False,
        relu: bool = True,
        names: tuple[str, str, str] = ("0", "1", "2"),
    ) -> None:
        super().__init__()
        convolution = Conv3d(in_channels, out_channels, kernel_size, transposed)
        layers = [convolution, BatchNorm(out_channels), *([ReLU()] if relu else [])]
        self.net = nn.Sequential(OrderedDict(zip(names, layers, strict=False)))

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
        self.downsample: nn.Module = nn.Sequential()
        if in_channels != out_channels:
            self.downsample = nn.Sequential(Conv3d(in_channels, out_channels, kernel_size=1), BatchNorm(out_channels))
        self.relu = ReLU()

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Apply both paths and add them."""
        main, shortcut = self.net(tensor), self.downsample(tensor)
        return self.relu(main.with_features(main.features + shortcut.features))
