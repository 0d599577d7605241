"""Dense networks on bird's-eye-view maps: SECOND's backbone and neck, and a centre head.

Parameter names, layouts and arithmetic are those of the official FlatFormer, and of mmdet3d where it differs, so that
their checkpoints load unchanged.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from perception.bundle.detection import HEAD_MAPS

NORM_EPS, NORM_MOMENTUM = 1e-3, 0.01
#: The logit that a heat map starts from: 0.1 for every cell.
HEATMAP_BIAS = -2.19


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, NORM_EPS, NORM_MOMENTUM)


class SecondBackbone(nn.Module):
    """Stages of 3x3 convolutions; the first of each stage halves the resolution, but for the first stage.

    Args:
        in_channels: of the map.
        channels: of each stage.
        layers: further convolutions of each stage, each with a residual connection after its ReLU.
    """

    def __init__(self, in_channels: int, channels: Sequence[int], layers: Sequence[int]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        for stage, (width, more) in enumerate(zip(channels, layers, strict=True)):
            inputs = [in_channels, *[width] * more]
            strides = [2 if stage else 1, *[1] * more]
            self.blocks.append(
                nn.ModuleList(_block(before, width, stride) for before, stride in zip(inputs, strides, strict=True))
            )
            in_channels = width

    def forward(self, bev: Tensor) -> list[Tensor]:
        """Compute the map of every stage: float [B, C, H, W], [B, C, H / 2, W / 2], ..."""
        outputs = []
        for stage in self.blocks:
            first, *others = stage.children()
            bev = first(bev)
            for block in others:
                bev = block(bev) + bev
            outputs.append(bev)
        return outputs


class PlainSecondBackbone(nn.Module):
    """The same without residual connections: SECOND as mmdet3d has it for CenterPoint and BEVFusion.

    Args:
        in_channels: of the map.
        channels: of each stage.
        layers: further convolutions of each stage.
    """

    def __init__(self, in_channels: int, channels: Sequence[int], layers: Sequence[int]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        for stage, (width, more) in enumerate(zip(channels, layers, strict=True)):
            parts = [_block(in_channels, width, 2 if stage else 1), *(_block(width, width, 1) for _ in range(more))]
            self.blocks.append(nn.Sequential(*(layer for part in parts for layer in part)))
            in_channels = width

    def forward(self, bev: Tensor) -> list[Tensor]:
        """Compute the map of every stage: float [B, C, H, W], [B, C, H / 2, W / 2], ..."""
        outputs = []
        for stage in self.blocks:
            bev = stage(bev)
            outputs.append(bev)
        return outputs


class SecondNeck(nn.Module):
    """Brings all stages to the resolution of the first and concatenates them.

    Args:
        in_channels: of each stage.
        out_channels: that each stage becomes.
        pointwise_first: the first stage goes through a 1x1 convolution instead of a transposed one, whose weight is
            laid out the other way round (`use_conv_for_no_stride` in mmdet3d).
    """

    def __init__(self, in_channels: Sequence[int], out_channels: Sequence[int], pointwise_first: bool = False) -> None:
        super().__init__()
        self.deblocks = nn.ModuleList()
        for stage, (before, after) in enumerate(zip(in_channels, out_channels, strict=True)):
            scale = 2**stage
            kind = nn.Conv2d if pointwise_first and not stage else nn.ConvTranspose2d
            layers = [kind(before, after, scale, scale, bias=False), _norm(after), nn.ReLU(inplace=True)]
            self.deblocks.append(nn.Sequential(*layers))

    def forward(self, stages: list[Tensor]) -> Tensor:
        """Compute float [B, sum of out_channels, H, W]."""
        return torch.cat([deblock(stage) for deblock, stage in zip(self.deblocks, stages, strict=True)], 1)


class CenterHead(nn.Module):
    """Centres of objects as peaks of a heat map for each class, and a box at every cell (CenterPoint, CVPR 2021).

    Args:
        in_channels: of the map.
        channels: that all branches share.
        classes: how many.
    """

    def __init__(self, in_channels: int, channels: int, classes: int) -> None:
        super().__init__()
        layers = {"conv": nn.Conv2d(in_channels, channels, 3, padding=1, bias=False), "bn": _norm(channels)}
        self.shared_conv = nn.Sequential(OrderedDict(**layers, activate=nn.ReLU(inplace=True)))
        branches = {**HEAD_MAPS, "heatmap": classes}
        self.task_heads = nn.ModuleList(
            [nn.ModuleDict({name: _branch(channels, width) for name, width in branches.items()})]
        )
        heatmap = self.task_heads[0]["heatmap"][-1]  # type: ignore[index]
        nn.init.constant_(heatmap.bias, HEATMAP_BIAS)

    def forward(self, bev: Tensor) -> dict[str, Tensor]:
        """Compute the raw maps, float [B, channels, H, W]: heat-map logits, offsets in cells, z of the centre in m,
        logarithms of sizes, sine and cosine, m/s, and the IoU that the box is expected to have.
        """  # noqa: D205
        shared, (head,) = self.shared_conv(bev), self.task_heads
        return {name: branch(shared) for name, branch in head.items()}  # type: ignore[operator]


def _block(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, _norm(out_channels), nn.ReLU())


def _branch(channels: int, out_channels: int) -> nn.Sequential:
    """A 3x3 convolution with norm, and one with bias; its norm keeps PyTorch's epsilon, as in the official code."""
    convolution = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    first = OrderedDict(conv=convolution, bn=nn.BatchNorm2d(channels), activate=nn.ReLU(inplace=True))
    return nn.Sequential(nn.Sequential(first), nn.Conv2d(channels, out_channels, 3, padding=1))
