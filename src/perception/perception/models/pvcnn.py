"""PVCNN and PVCNN++ (Liu et al., Point-Voxel CNN for Efficient 3D Deep Learning, NeurIPS 2019): labels for each point.

The segmentation networks that the official release trains on S3DIS. Parameter names, layouts and arithmetic are its
own, so that its checkpoints load unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from perception.nn.pointnet import FeaturePropagation, SetAbstraction
from perception.nn.pvconv import Placement, Points, PVConv, SharedMLP


class Convolutions(NamedTuple):
    """Several PVConv in a row."""

    channels: int
    layers: int
    resolution: int


class Abstraction(NamedTuple):
    """A set abstraction; see `SetAbstraction`."""

    centers: int
    radius: float
    neighbors: int
    channels: tuple[int, ...]


PVCNN_CONVOLUTIONS = (Convolutions(64, 1, 32), Convolutions(64, 2, 16), Convolutions(128, 1, 16))
POINT_CHANNELS = 1024
CLOUD_CHANNELS = (256, 128)

PVCNN2_DOWN: tuple[tuple[Convolutions | None, Abstraction], ...] = (
    (Convolutions(32, 2, 32), Abstraction(1024, 0.1, 32, (32, 64))),
    (Convolutions(64, 3, 16), Abstraction(256, 0.2, 32, (64, 128))),
    (Convolutions(128, 3, 8), Abstraction(64, 0.4, 32, (128, 256))),
    (None, Abstraction(16, 0.8, 32, (256, 256, 512))),
)
PVCNN2_UP = (
    ((256, 256), Convolutions(256, 1, 8)),
    ((256, 256), Convolutions(256, 1, 8)),
    ((256, 128), Convolutions(128, 2, 16)),
    ((128, 128, 64), Convolutions(64, 1, 32)),
)


class PVCNN(nn.Module):
    """PVConvs at full density, and what the whole cloud holds, for each point.

    Args:
        classes: how many.
        input_channels: features of each point; the first three are its coordinates.
        width: multiplies the official channel counts.
        voxel_resolution: multiplies the official resolutions of the grids.
        placement: how clouds are put into the grids; the official networks for S3DIS normalise.
    """

    def __init__(
        self,
        classes: int,
        input_channels: int = 9,
        width: float = 1.0,
        voxel_resolution: float = 1.0,
        placement: Placement = "normalize",
    ) -> None:
        super().__init__()
        build = partial(_convolutions, width=width, voxel_resolution=voxel_resolution, placement=placement)
        layers: list[nn.Module] = []
        before, joined = input_channels, 0
        for convolutions in PVCNN_CONVOLUTIONS:
            layers += build(before, convolutions)
            before = int(width * convolutions.channels)
            joined += before * convolutions.layers
        point_channels, *cloud = (int(width * channels) for channels in (POINT_CHANNELS, *CLOUD_CHANNELS))
        self.point_features = nn.ModuleList([*layers, SharedMLP(before, [point_channels])])
        self.cloud_features = nn.Sequential(_linear(point_channels, cloud[0]), _linear(cloud[0], cloud[1]))
        joined += point_channels + cloud[1]
        self.classifier = _classifier(joined, [int(width * 512), int(width * 256)], 0.3, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute class scores.

        Args:
            inputs: float [B, input_channels, N], N at least 1; while training B at least 2.

        Returns:
            float [B, classes, N], before softmax.
        """
        points: Points = (inputs, inputs[:, :3])
        features = []
        for convolution in self.point_features[:-1]:
            points = convolution(points)
            features.append(points[0])
        features.append(self.point_features[-1](points[0]))
        cloud = self.cloud_features(features[-1].amax(2))
        features.append(cloud.unsqueeze(2).expand(-1, -1, inputs.shape[2]))
        return self.classifier(torch.cat(features, dim=1))


class PVCNN2(nn.Module):
    """PVCNN++: PVConvs between the set abstractions and feature propagations of PointNet++.

    Args:
        classes: how many.
        input_channels: features of each point; the first three are its coordinates, in the unit of the radii (metres in
            a room that is 1 to 2 m wide).
        width: multiplies the official channel counts.
        voxel_resolution: multiplies the official resolutions of the grids.
        placement: how clouds are put into the grids; the official network normalises.
    """

    def __init__(
        self,
        classes: int,
        input_channels: int = 9,
        width: float = 1.0,
        voxel_resolution: float = 1.0,
        placement: Placement = "normalize",
    ) -> None:
        super().__init__()
        build = partial(
            _convolutions, width=width, voxel_resolution=voxel_resolution, placement=placement, squeeze_excitation=True
        )
        channels, skips = input_channels, [input_channels - 3]
        self.sa_layers = nn.ModuleList()
        for convolutions, abstraction in PVCNN2_DOWN:
            layers = build(channels, convolutions) if convolutions else []
            channels = int(width * convolutions.channels) if convolutions else channels
            widths = [int(width * wide) for wide in abstraction.channels]
            layers.append(SetAbstraction(channels, widths, *abstraction[:3]))
            channels = widths[-1]
            skips.append(channels)
            self.sa_layers.append(nn.Sequential(*layers) if convolutions else layers[0])
        self.fp_layers = nn.ModuleList()
        for (mlp, convolutions), skip in zip(PVCNN2_UP, skips[-2::-1], strict=True):
            widths = [int(width * wide) for wide in mlp]
            propagation = FeaturePropagation(channels + skip, widths)
            self.fp_layers.append(nn.Sequential(propagation, *build(widths[-1], convolutions)))
            channels = int(width * convolutions.channels)
        self.classifier = _classifier(channels, [int(width * 128)], 0.5, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute class scores; as `PVCNN.forward`."""
        points: Points = (inputs, inputs[:, :3])
        levels = [(inputs[:, 3:], points[1])]
        for layer in self.sa_layers:
            points = layer(points)
            levels.append(points)
        for layer, level in zip(self.fp_layers, levels[-2::-1], strict=True):
            propagation, *convolutions = layer.children()
            points = propagation(points, *level)
            for convolution in convolutions:
                points = convolution(points)
        return self.classifier(points[0])


def _convolutions(
    in_channels: int,
    convolutions: Convolutions,
    *,
    width: float,
    voxel_resolution: float,
    placement: Placement,
    squeeze_excitation: bool = False,
) -> list[nn.Module]:
    channels, resolution = int(width * convolutions.channels), int(voxel_resolution * convolutions.resolution)
    inputs = [in_channels, *[channels] * (convolutions.layers - 1)]
    return [
        PVConv(before, channels, resolution, squeeze_excitation=squeeze_excitation, placement=placement)
        for before in inputs
    ]


def _linear(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(in_channels, out_channels), nn.BatchNorm1d(out_channels), nn.ReLU(inplace=True))


def _classifier(in_channels: int, hidden: Sequence[int], dropout: float, classes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in zip([in_channels, *hidden], hidden, strict=False):
        layers += [SharedMLP(before, [after]), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Conv1d(hidden[-1], classes, 1))
