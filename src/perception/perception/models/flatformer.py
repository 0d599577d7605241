"""FlatFormer (Liu et al., CVPR 2023): a LiDAR detector of flattened window attention on pillars, single stage.

Parameter names, layouts and arithmetic are those of the official Waymo detector, so that its checkpoints load
unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from perception import ops
from perception.bundle.detection import FlatFormerSettings
from perception.models.detector import MapDetector
from perception.nn.bev import CenterHead, SecondBackbone, SecondNeck
from perception.nn.flat_attention import FlatFormerBlock, TokenSequences
from perception.nn.pillar_backends import DIFFERENTIABLE, NATIVE, PillarBackend
from perception.nn.pillars import DynamicVFE


class Encoded(NamedTuple):
    """What the encoder makes of clouds.

    Attributes:
        pillars: where points lie.
        features: float [P, C] of each pillar before the transformer, and after each of its blocks.
        bev: float [B, C, H, W].
    """

    pillars: ops.Pillars
    features: list[Tensor]
    bev: Tensor


class FlatFormerEncoder(nn.Module):
    """The transformer: blocks of four layers."""

    def __init__(self, settings: FlatFormerSettings) -> None:
        super().__init__()
        block = (settings.channels, settings.heads, settings.hidden, settings.block_kernel_size)
        self.block_list = nn.ModuleList(FlatFormerBlock(*block) for _ in range(settings.blocks))
        channels = settings.attended_channels // 2
        table = ops.sine_table(max(settings.grid_size), channels, settings.position_temperature)
        self.register_buffer("position", torch.from_numpy(table), persistent=False)
        self.position: Tensor


class FlatFormer(MapDetector):
    """The detector.

    Args:
        settings: what it looks like.
        classes: how many.
    """

    inference_backend, training_backend = NATIVE, DIFFERENTIABLE
    settings: FlatFormerSettings

    def __init__(self, settings: FlatFormerSettings, classes: int) -> None:
        super().__init__()
        self.settings = settings
        self.voxel_encoder = DynamicVFE(settings.point_channels, settings.point_layers)
        self.middle_encoder = FlatFormerEncoder(settings)
        self.backbone = SecondBackbone(settings.channels, settings.backbone_channels, settings.backbone_layers)
        self.neck = SecondNeck(settings.backbone_channels, settings.neck_channels)
        self.bbox_head = CenterHead(sum(settings.neck_channels), settings.head_channels, classes)

    def encode(self, clouds: Sequence[Tensor], backend: PillarBackend = NATIVE) -> Encoded:
        """Compute the bird's-eye-view map of a batch of clouds.

        Args:
            clouds: float32 [N, point_channels] each: x, y, z in metres, then features; N may be 0.
            backend: what to compute with.
        """
        points = torch.cat(list(clouds))
        batch = torch.from_numpy(np.repeat(np.arange(len(clouds), dtype=np.int32), [len(cloud) for cloud in clouds]))
        grid, settings = self.settings.grid, self.settings
        pillars = backend.find_pillars(points, grid, batch.to(points.device), len(clouds))
        features = [self.voxel_encoder(points, grid, pillars, backend)]
        where = (pillars.coords, pillars.counts, settings.grid_size, settings.window, settings.group_size)
        sequences = TokenSequences(*where, backend)
        for block in self.middle_encoder.block_list:
            features.append(block(features[-1], sequences, self.middle_encoder.position))
        bev = backend.pillars_to_map(features[-1], pillars.coords, len(clouds), settings.grid_size)
        return Encoded(pillars, features, bev)

    def bev(self, clouds: Sequence[Tensor], backend: PillarBackend = NATIVE) -> Tensor:
        """Compute the map; arguments as of `forward`."""
        return self.encode(clouds, backend).bev
