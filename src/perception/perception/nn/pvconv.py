"""Point-voxel convolution (Liu et al., Point-Voxel CNN for Efficient 3D Deep Learning, NeurIPS 2019, section 3).

Parameter names, layouts and arithmetic are those of the official release, so that its checkpoints load unchanged.
Clouds and features are batches with the points last: coordinates [B, 3, N], features [B, C, N].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from perception import ops
from perception.ops import autograd_voxels, reference_voxels

#: How a cloud is put into the grid: "normalize" divides by its largest radius and "center" only subtracts the mean (the
#: official code's `normalize`, true and false); "fixed" takes coordinates of -1..1 as they are, so that all clouds have
#: voxels of one size and nothing is lost at the border.
Placement: TypeAlias = Literal["normalize", "center", "fixed"]

#: Features of the points and their coordinates: what the layers hand on.
Points: TypeAlias = tuple[Tensor, Tensor]

NORM_EPS = 1e-4
LEAK = 0.1
SQUEEZE = 8


class SharedMLP(nn.Module):
    """Layers that treat every point alike: 1x1 convolution, batch norm, ReLU.

    Args:
        in_channels: features of each point.
        out_channels: of each layer.
        dimensions: 1 for points [B, C, N], 2 for groups of points [B, C, M, U].
    """

    def __init__(self, in_channels: int, out_channels: Sequence[int], dimensions: Literal[1, 2] = 1) -> None:
        super().__init__()
        convolution, norm = {1: (nn.Conv1d, nn.BatchNorm1d), 2: (nn.Conv2d, nn.BatchNorm2d)}[dimensions]
        layers: list[nn.Module] = []
        for before, after in zip([in_channels, *out_channels], out_channels, strict=False):
            layers += [convolution(before, after, 1), norm(after), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """Apply the layers: float [B, C, ...] to [B, out_channels[-1], ...]."""
        return self.layers(features)


class SqueezeExcitation(nn.Module):
    """Weigh the channels by what the whole volume holds (Hu et al., Squeeze-and-Excitation Networks, CVPR 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(1, channels // SQUEEZE)
        self.fc = nn.Sequential(
            nn.Linear(channels, squeezed, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(squeezed, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, volume: Tensor) -> Tensor:
        """Scale the channels of float [B, C, r, r, r]."""
        return volume * self.fc(volume.mean((2, 3, 4)))[:, :, None, None, None]


class PVConv(nn.Module):
    """The sum of two branches: dense convolutions in a small grid for the surroundings, an MLP for each point.

    Args:
        in_channels: features of each point.
        out_channels: the same of the result.
        resolution: cells of the grid along each axis.
        squeeze_excitation: whether the voxel branch ends with one.
        placement: how the cloud is put into the grid.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        resolution: int,
        *,
        squeeze_excitation: bool = False,
        placement: Placement = "normalize",
    ) -> None:
        super().__init__()
        self.resolution = resolution
        self.placement = placement
        layers: list[nn.Module] = []
        for before in (in_channels, out_channels):
            layers += [
                nn.Conv3d(before, out_channels, 3, padding=1),
                nn.BatchNorm3d(out_channels, NORM_EPS),
                nn.LeakyReLU(LEAK, inplace=True),
            ]
        self.voxel_layers = nn.Sequential(*layers, *[SqueezeExcitation(out_channels)] * squeeze_excitation)
        self.point_features = SharedMLP(in_channels, [out_channels])

    def forward(self, points: Points) -> Points:
        """Convolve.

        Args:
            points: features float [B, in_channels, N] and coordinates float [B, 3, N]. In float32 the native kernels
                voxelise; in float64 the reference operations do.

        Returns:
            features float [B, out_channels, N] and the same coordinates.
        """
        features, coordinates = points
        cells = grid_coordinates(coordinates, self.resolution, self.placement)
        volume = voxelize(features, cells, self.resolution)
        # The convolutions of few channels take half as long with the channels last.
        volume = self.voxel_layers(volume.contiguous(memory_format=torch.channels_last_3d))
        return devoxelize(volume, cells) + self.point_features(features), coordinates


def grid_coordinates(coordinates: Tensor, resolution: int, placement: Placement) -> Tensor:
    """Put clouds float [B, 3, N] into a grid: the same shape, in cells, 0..resolution - 1; carries no gradient."""
    coordinates = coordinates.detach()
    if placement == "fixed":
        return torch.clamp((coordinates + 1) / 2, 0, 1) * (resolution - 1)
    normalize = placement == "normalize"
    if coordinates.dtype == torch.float64:
        return reference_voxels.dense_coordinates(coordinates, resolution, normalize)
    return torch.as_tensor(ops.dense_coordinates(coordinates.contiguous(), resolution, normalize=normalize))


def voxelize(features: Tensor, cells: Tensor, resolution: int) -> Tensor:
    """Average the features [B, C, N] of the points nearest to each cell: [B, C, r, r, r]."""
    operations = reference_voxels if features.dtype == torch.float64 else autograd_voxels
    return operations.dense_voxelize(features, cells, resolution)


def devoxelize(volume: Tensor, cells: Tensor) -> Tensor:
    """Read [B, C, r, r, r] at the points, trilinearly: [B, C, N]."""
    operations = reference_voxels if volume.dtype == torch.float64 else autograd_voxels
    return operations.dense_devoxelize(volume, cells)
