"""From a cloud's points to a class for each: what surrounds a network when it is deployed, timed stage by stage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from perception.bundle.format import BlockSettings, NetworkSettings, PvcnnSettings
from perception.models.network import SegmentationNetwork
from perception.models.point_blocks import Block, block_features, cut_into_blocks
from perception.models.voxels import FrameVoxels, voxelize_frame
from perception.nn.fusion import fuse
from perception.nn.tables import FrameTables
from perception.runtime.timing import StageTimer

Labels = tuple[NDArray[np.uint8], NDArray[np.float32]]
#: Blocks that go through the network at once: enough to keep it busy, few enough for a cache.
BLOCKS_AT_ONCE = 8


class PointLabeller(Protocol):
    """A network that labels points."""

    def label(self, points: NDArray[np.float32], timer: StageTimer) -> Labels:
        """Label a cloud.

        Args:
            points: float32 [N, 4], x, y, z in metres, intensity; N at least 1; may be a read-only strided view.
            timer: takes the time of each stage.

        Returns:
            classes uint8 [N] and their probabilities float32 [N].

        Raises:
            ValueError: a value is NaN or infinite.
        """


class VoxelLabeller:
    """Gives each point the label of its voxel."""

    def __init__(self, network: SegmentationNetwork, voxel_size_m: float) -> None:
        """Take a network that takes raw features; it is fused, and cannot be trained afterwards."""
        self._network = fuse(network)
        self._voxel_size_m = voxel_size_m

    def label(self, points: NDArray[np.float32], timer: StageTimer) -> Labels:
        """Label a cloud; see `PointLabeller`."""
        with timer.stage("voxelize"):
            voxels = voxelize_frame(points, self._voxel_size_m)
        with timer.stage("maps"):
            tables = FrameTables(voxels.coords).fill(self._network.levels, self._network.point_levels)
        with timer.stage("network"):
            scores = self._network.label(tables, torch.from_numpy(voxels.features))
        with timer.stage("labels"):
            return _labels_of_voxels(scores, voxels)


class BlockLabeller:
    """Cuts the cloud into square blocks and labels the points of each, several blocks at a time."""

    def __init__(self, network: nn.Module, settings: BlockSettings) -> None:
        """Take a network of points [B, C, N]; it is fused, and cannot be trained afterwards."""
        self._network = fuse(network)
        self._settings = settings

    def label(self, points: NDArray[np.float32], timer: StageTimer) -> Labels:
        """Label a cloud; see `PointLabeller`."""
        if not np.isfinite(points).all():
            raise ValueError("points hold NaN or infinite values; remove them first")
        class_ids, probabilities = np.empty(len(points), np.uint8), np.empty(len(points), np.float32)
        with timer.stage("blocks"):
            groups = list(self._groups(points))
        for blocks in groups:
            with timer.stage("features"):
                features = self._features(points, blocks)
            with timer.stage("network"):
                scores = self._network(torch.from_numpy(features))
            with timer.stage("labels"):
                best = scores.softmax(dim=1).max(dim=1)
                for block, probability, class_id in zip(blocks, best.values.numpy(), best.indices.numpy(), strict=True):
                    labelled = block.rows[block.inside]
                    probabilities[labelled] = probability[: len(block.rows)][block.inside]
                    class_ids[labelled] = class_id[: len(block.rows)][block.inside]
        return class_ids, probabilities

    def _groups(self, points: NDArray[np.float32]) -> Iterator[list[Block]]:
        """Blocks of about the same number of points, together."""
        blocks = sorted(cut_into_blocks(points, self._settings), key=lambda block: len(block.rows))
        for first in range(0, len(blocks), BLOCKS_AT_ONCE):
            yield blocks[first : first + BLOCKS_AT_ONCE]

    def _features(self, points: NDArray[np.float32], blocks: list[Block]) -> NDArray[np.float32]:
        """Features [B, C, N] of blocks; smaller ones repeat their points, which changes means in voxels a little."""
        largest = max(len(block.rows) for block in blocks)
        features = []
        for block in blocks:
            own = block_features(points[block.rows], block.center_m, self._settings)
            features.append(own[:, np.arange(largest) % own.shape[1]])
        return np.stack(features)


def make_labeller(network: nn.Module, settings: NetworkSettings, voxel_size_m: float) -> PointLabeller:
    """Surround a network that the settings describe with what it needs; it cannot be trained afterwards."""
    if isinstance(settings, PvcnnSettings):
        return BlockLabeller(network, settings.blocks)
    assert isinstance(network, SegmentationNetwork)
    return VoxelLabeller(network, voxel_size_m)


def _labels_of_voxels(scores: Tensor, voxels: FrameVoxels) -> Labels:
    probabilities, class_ids = scores.softmax(dim=1).max(dim=1)
    return class_ids.numpy().astype(np.uint8)[voxels.inverse], probabilities.numpy()[voxels.inverse]
