"""The sparse encoder of voxel detectors, with the names and layouts of mmdet3d's SparseEncoder as BEVFusion has it."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from perception.nn.blocks import BatchNorm, ReLU
from perception.nn.convolution import autocast
from perception.nn.voxel_grids import GridTensor, Three, Window

NORM_EPS, NORM_MOMENTUM = 1e-3, 0.01


class GridConv3d(nn.Module):
    """Correlate voxels with a kernel; there is no bias.

    Args:
        in_channels, out_channels: features before and after.
        window: None for 3 x 3 x 3 neighbours on the same level (submanifold); else what the level below reads.

    Attributes:
        weight: float [kx, ky, kz, in_channels, out_channels], as spconv 1 has it.
    """

    def __init__(self, in_channels: int, out_channels: int, window: Window | None = None) -> None:
        super().__init__()
        self.window = window
        size: Three = window.size if window else (3, 3, 3)
        self.weight = nn.Parameter(torch.empty(*size, in_channels, out_channels))
        bound = 1 / math.sqrt(in_channels * math.prod(size))
        nn.init.uniform_(self.weight, -bound, bound)

    def kernel(self) -> Tensor:
        """The weight in the order of the tables: [K, in_channels, out_channels], x fastest."""
        *_, inputs, outputs = self.weight.shape
        return self.weight.permute(2, 1, 0, 3, 4).reshape(-1, inputs, outputs)

    def forward(self, tensor: GridTensor) -> GridTensor:
        """Convolve. Differentiable; half under autocast to float16."""
        level, table = (tensor.level, tensor.level.neighbours) if not self.window else tensor.level.below(self.window)
        weight = autocast(self.kernel())
        convolution = level.backend.sparse_convolution
        result = convolution(autocast(tensor.features), table, weight, submanifold=not self.window)
        return GridTensor(result, level)


class SparseBasicBlock(nn.Module):
    """Two submanifold convolutions beside an identity; ReLU after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = GridConv3d(channels, channels), _norm(channels)
        self.conv2, self.bn2 = GridConv3d(channels, channels), _norm(channels)
        self.relu = ReLU()

    def forward(self, tensor: GridTensor) -> GridTensor:
        """Apply both paths and add them."""
        main = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(tensor)))))
        return self.relu(main.with_features(main.features + tensor.features))


class SparseEncoder(nn.Module):
    """Stages of residual blocks, each followed by a convolution to the level below; the last convolution lowers z.

    Args:
        in_channels: of the voxels.
        channels: of each stage.
        blocks: residual blocks of each stage.
        steps: windows of the convolutions between stages.
        output_step: window of the convolution after the last stage.
        output_channels: of it.
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int],
        blocks: Sequence[int],
        steps: Sequence[Window],
        output_step: Window,
        output_channels: int,
    ) -> None:
        super().__init__()
        self.conv_input = _convolution(in_channels, channels[0])
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        afterwards = [_convolution(*widths, step) for widths, step in zip(pairwise(channels), steps, strict=True)]
        for number, (width, count) in enumerate(zip(channels, blocks, strict=True)):
            layers = [*(SparseBasicBlock(width) for _ in range(count)), *afterwards[number : number + 1]]
            stages[f"encoder_layer{number + 1}"] = nn.Sequential(*layers)
        self.encoder_layers = nn.Sequential(stages)
        self.conv_out = _convolution(channels[-1], output_channels, output_step)

    def forward(self, voxels: GridTensor) -> GridTensor:
        """Compute float [M, output_channels] on the level of the map, from the features of voxels."""
        encoded: GridTensor = self.conv_out(self.encoder_layers(self.conv_input(voxels)))
        return encoded


def voxels_to_map(tensor: GridTensor, batches: int, x_first: bool = False) -> Tensor:
    """Lay voxels out as maps whose channels hold the layers of voxels as well, channel * Z + z; zero elsewhere.

    Args:
        tensor: float [N, C] on a grid of X, Y, Z.
        batches: how many clouds there are.
        x_first: the order of the axes, as in BEVFusion.

    Returns:
        float [batches, C * Z, Y, X], or [batches, C * Z, X, Y].
    """
    width, height, layers = tensor.level.shape
    batch, x, y, z = torch.as_tensor(tensor.level.coords).long().unbind(1)
    rows, columns, size = (x, y, (width, height)) if x_first else (y, x, (height, width))
    channels = tensor.features.shape[1]
    cells = tensor.features.new_zeros(batches, layers, *size, channels)
    cells = cells.index_put((batch, z, rows, columns), tensor.features)
    return cells.permute(0, 4, 1, 2, 3).reshape(batches, channels * layers, *size)


def _convolution(in_channels: int, out_channels: int, window: Window | None = None) -> nn.Sequential:
    return nn.Sequential(GridConv3d(in_channels, out_channels, window), _norm(out_channels), ReLU())


def _norm(channels: int) -> BatchNorm:
    return BatchNorm(channels, NORM_EPS, NORM_MOMENTUM)
