"""CenterPoint (Yin et al., CVPR 2021) with a sparse VoxelNet: the detector that others are measured against.

The encoder's names, layouts and arithmetic are those of mmdet3d's SparseEncoder in the official BEVFusion, whose LiDAR
branch it is; backbone, neck and head follow mmdet3d's CenterPoint. The head is the one of `perception.nn.bev`: one task
for all classes, with a branch for the overlap of boxes, so that detectors differ in their encoders only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from perception.bundle.voxelnet import VoxelNetSettings, WindowSettings
from perception.models.detector import MapDetector
from perception.nn.backends import NATIVE, Backend
from perception.nn.bev import CenterHead, PlainSecondBackbone, SecondNeck
from perception.nn.voxel_grids import GridLevel, GridTensor, Window
from perception.nn.voxelnet import SparseEncoder, voxels_to_map


class CenterPoint(MapDetector):
    """The detector.

    Args:
        settings: what it looks like.
        classes: how many.
    """

    inference_backend = training_backend = NATIVE
    settings: VoxelNetSettings

    def __init__(self, settings: VoxelNetSettings, classes: int) -> None:
        super().__init__()
        self.settings = settings
        self.middle_encoder = make_encoder(settings)
        self.backbone = PlainSecondBackbone(settings.map_channels, settings.backbone_channels, settings.backbone_layers)
        self.neck = SecondNeck(settings.backbone_channels, settings.neck_channels, pointwise_first=True)
        self.bbox_head = CenterHead(sum(settings.neck_channels), settings.head_channels, classes)

    def encode(self, clouds: Sequence[Tensor], backend: Backend = NATIVE) -> GridTensor:
        """Compute the voxels that the map is made of; arguments as of `forward`."""
        encoded: GridTensor = self.middle_encoder(mean_voxels(clouds, self.settings, backend))
        return encoded

    def bev(self, clouds: Sequence[Tensor], backend: Backend = NATIVE) -> Tensor:
        """Compute the map; arguments as of `forward`."""
        return voxels_to_map(self.encode(clouds, backend), len(clouds))


def make_encoder(settings: VoxelNetSettings) -> SparseEncoder:
    """Build the sparse encoder with fresh weights."""
    steps = [window_of(step) for step in settings.steps]
    output = (window_of(settings.output_step), settings.output_channels)
    return SparseEncoder(settings.point_channels, settings.channels, settings.blocks, steps, *output)


def window_of(step: WindowSettings) -> Window:
    """A step as layers take it."""
    return Window(step.size, step.stride, step.padding)


def mean_voxels(clouds: Sequence[Tensor], settings: VoxelNetSettings, backend: Backend) -> GridTensor:
    """Average the first points of each voxel (mmdet3d's hard voxelisation and HardSimpleVFE).

    Points outside of the range, and voxels beyond the capacity, are left out.
    """
    capacities = (settings.voxel_points, settings.voxels)
    found = [backend.voxelize_hard(cloud, settings.grid, *capacities, batch) for batch, cloud in enumerate(clouds)]
    coords, means = (list(parts) for parts in zip(*found, strict=True))
    joined = coords[0] if len(coords) == 1 else _joined(coords)
    return GridTensor(torch.cat(means), GridLevel(joined, next(settings.shapes()), backend))


def _joined(coords: list[object]) -> object:
    tensors = all(isinstance(part, Tensor) for part in coords)
    return torch.cat(coords) if tensors else np.concatenate(coords)  # type: ignore[arg-type]
