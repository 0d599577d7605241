"""What surrounds a PyTorch network when it labels whole clouds."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from perception.bundle.format import NetworkSettings, PvcnnSettings
from perception.models.network import SegmentationNetwork
from perception.nn.fusion import fuse
from perception.nn.tables import FrameTables
from perception.runtime.labellers import BlockLabeller, PointLabeller, VoxelLabeller
from perception.runtime.timing import StageTimer


def make_labeller(network: nn.Module, settings: NetworkSettings, voxel_size_m: float) -> PointLabeller:
    """Surround a network that the settings describe with what it needs; it cannot be trained afterwards."""
    fused = fuse(network)
    if isinstance(settings, PvcnnSettings):

        def score_points(points: NDArray[Any], timer: StageTimer) -> NDArray[Any]:
            with timer.stage("network"):
                return _as_array(fused(torch.from_numpy(points)))

        return BlockLabeller(score_points, settings.blocks)
    assert isinstance(fused, SegmentationNetwork)

    def score_voxels(coords: NDArray[Any], features: NDArray[Any], timer: StageTimer) -> NDArray[Any]:
        with timer.stage("maps"):
            tables = FrameTables(coords).fill(fused.levels, fused.point_levels)
        with timer.stage("network"):
            return _as_array(fused.label(tables, torch.from_numpy(features)))

    return VoxelLabeller(score_voxels, voxel_size_m)


def _as_array(scores: torch.Tensor) -> NDArray[Any]:
    array: NDArray[Any] = scores.detach().numpy()
    return array
