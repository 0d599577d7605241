"""SPVNAS (Tang et al., ECCV 2020): the networks of a supernet, and the supernet that they share weights in.

Names, layouts and arithmetic of a network are those of the official specialised checkpoints. A supernet is stored as
its own largest network; what a smaller one takes from it is said by `perception.bundle.supernet`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from perception.bundle.architecture import SpvnasArchitecture, StageWidths
from perception.bundle.supernet import SupernetSpace, cut, tensor_slices
from perception.models.unet import PointVoxelUNet, StepUp
from perception.nn.blocks import BatchNorm, ConvolutionBlock, ReLU, ResidualBlock
from perception.nn.convolution import Conv3d
from perception.nn.sparse_tensor import SparseTensor
from perception.nn.tables import FrameTables

_NAMES = ("conv", "bn", "act")


class SPVNAS(PointVoxelUNet):
    """Semantic segmentation of voxels with widths and depths of any kind.

    Args:
        classes: how many.
        architecture: widths and depths.
        input_channels: features of each voxel; 4 for x, y, z (metres) and intensity.
    """

    def __init__(self, classes: int, architecture: SpvnasArchitecture, input_channels: int = 4) -> None:
        super().__init__()
        self.architecture = architecture
        stem = architecture.stem
        self.stem = nn.Sequential(
            Conv3d(input_channels, stem), BatchNorm(stem), ReLU(), Conv3d(stem, stem), BatchNorm(stem), ReLU()
        )
        self.downsample, self.upsample = nn.ModuleList(), nn.ModuleList()
        width = stem
        for stage in architecture.down:
            self.downsample.append(_Stage(width, stage, skip=0, transposed=False))
            width = stage.out
        for stage, skip in zip(architecture.up, architecture.skips, strict=True):
            self.upsample.append(_Stage(width, stage, skip, transposed=True))
            width = stage.out
        widths = (stem, *architecture.point_widths)
        self.point_transforms = nn.ModuleList([_PointTransform(widths[i], widths[i + 1]) for i in range(3)])
        self.classifier = _Classifier(architecture.up[-1].out, architecture.classifier, classes)

    def steps_down(self) -> Sequence[nn.Module]:
        """Steps 1 to 2, 2 to 4, 4 to 8, 8 to 16."""
        return list(self.downsample)

    def steps_up(self) -> Sequence[StepUp]:
        """Steps 16 to 8, 8 to 4, 4 to 2, 2 to 1."""
        stages = [cast("_Stage", stage) for stage in self.upsample]
        return [(stage.transition, stage.feature) for stage in stages]


class Supernet(nn.Module):
    """The weights of all networks of a space.

    Args:
        space: the networks.
        classes: how many.
        input_channels: features of each voxel.

    Attributes:
        network: the largest one, which holds the weights.
    """

    def __init__(self, space: SupernetSpace, classes: int, input_channels: int = 4) -> None:
        super().__init__()
        self.space = space
        self.classes = classes
        self.input_channels = input_channels
        self.network = SPVNAS(classes, space.largest, input_channels)

    def apply_network(self, architecture: SpvnasArchitecture, tables: FrameTables, features: Tensor) -> Tensor:
        """Compute scores with a network of the space; gradients reach the shared weights.

        In training mode batch norm goes by the batch alone: the running statistics of the supernet, which would mix
        those of all networks, are not touched. See `perception.training.recalibration` for those of one network.

        Returns:
            float [N, classes], before softmax.
        """
        with torch.device("meta"):
            skeleton = SPVNAS(self.classes, architecture, self.input_channels)
        skeleton.train(self.training)
        skeleton.dropout.p = self.network.dropout.p
        weights = self._slices(architecture)
        weights |= {name: weights[name].clone() for name, _ in skeleton.named_buffers()}
        scores: Tensor = functional_call(skeleton, weights, (tables, features), strict=True)
        return scores

    def materialise(self, architecture: SpvnasArchitecture) -> SPVNAS:
        """Make a network of the space with its own copy of the weights."""
        network = SPVNAS(self.classes, architecture, self.input_channels)
        network.load_state_dict({name: tensor.detach() for name, tensor in self._slices(architecture).items()})
        return network.train(self.training)

    def _slices(self, architecture: SpvnasArchitecture) -> dict[str, Tensor]:
        tensors = dict(self.network.named_parameters()) | dict(self.network.named_buffers())
        slices = tensor_slices(architecture, self.space.largest, self.classes, self.input_channels)
        return {name: cut(tensors[name], part, torch.cat) for name, part in slices.items()}


class _Stage(nn.Module):
    """Strided or transposed convolution, then residual blocks."""

    def __init__(self, in_channels: int, widths: StageWidths, skip: int, transposed: bool) -> None:
        super().__init__()
        self.transition = ConvolutionBlock(in_channels, widths.transition, 2, transposed, names=_NAMES)
        blocks, entering = [], widths.transition + skip
        for number, hidden in enumerate(widths.hidden):
            blocks.append(_Block(entering, hidden, widths.out, shortcut=number == 0))
            entering = widths.out
        self.feature = nn.Sequential(*blocks)

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Step down; a step up concatenates the skip in between, see `PointVoxelUNet`."""
        result: SparseTensor = self.feature(self.transition(tensor))
        return result


class _Block(ResidualBlock):
    """A residual block with its own hidden width; the first of a stage always has a convolution in its shortcut."""

    def __init__(self, in_channels: int, hidden: int, out_channels: int, shortcut: bool) -> None:
        nn.Module.__init__(self)
        self.net = nn.Sequential(
            ConvolutionBlock(in_channels, hidden, names=_NAMES),
            ConvolutionBlock(hidden, out_channels, relu=False, names=_NAMES),
        )
        self.downsample: nn.Module = nn.Sequential()
        if shortcut:
            self.downsample = ConvolutionBlock(in_channels, out_channels, 1, relu=False, names=_NAMES)
        self.relu = ReLU()


class _PointTransform(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        layers = [nn.Linear(in_channels, out_channels), nn.BatchNorm1d(out_channels), nn.ReLU(inplace=True)]
        self.net = nn.Sequential(OrderedDict(zip(_NAMES, layers, strict=True)))

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.net(features)
        return result


class _Classifier(nn.Module):
    """A linear layer that uses its first columns only where fewer features arrive."""

    def __init__(self, in_channels: int, columns: int, classes: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.linear = nn.Linear(columns, classes)

    def forward(self, features: Tensor) -> Tensor:
        return F.linear(features, self.linear.weight[:, : self.in_channels], self.linear.bias)
