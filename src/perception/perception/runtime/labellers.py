"""From a cloud's points to a class for each: what surrounds a network when it is deployed, timed stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from perception.bundle.format import BlockSettings
from perception.ops import rows
from perception.runtime.blocks import Block, block_features, cut_into_blocks
from perception.runtime.place import HOST, Place
from perception.runtime.timing import StageTimer
from perception.runtime.voxels import voxelize_frame
from perception.types import Frame, LabelledCloud, PointCloud

Labels = tuple[NDArray[np.uint8], NDArray[np.float32]]
#: A network: scores of voxels float [M, classes] from coords int32 [M, 4] and features float32 [M, C], or scores of
#: points float [B, classes, N] from float32 [B, C, N]. All arrays lie where it runs.
Score: TypeAlias = Callable[..., Any]

#: Blocks that go through the network at once: enough to keep it busy, few enough for a cache.
BLOCKS_AT_ONCE = 8
WARM_UP_POINTS = 20_000


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


def label_frame(labeller: PointLabeller, frame: Frame, timer: StageTimer) -> LabelledCloud:
    """Label a frame, as `perception.runtime.Engine.forward` says.

    Raises:
        ValueError: the cloud is not float32 [N, 4] or holds non-finite values.
    """
    points = frame.cloud.points
    if points.ndim != 2 or points.shape[1] != 4 or points.dtype != np.float32:
        raise ValueError(f"points are {points.dtype} {list(points.shape)}, expected float32 [N, 4]")
    if not len(points):
        return LabelledCloud(np.empty(0, np.uint8), np.empty(0, np.float32))
    class_ids, probabilities = labeller.label(points, timer)
    return LabelledCloud(class_ids, probabilities, timer.stage_ms)


def made_up_frame() -> Frame:
    """A frame to warm up with, of the size of a sweep's voxels."""
    points = np.random.default_rng(0).uniform(-20, 20, (WARM_UP_POINTS, 4)).astype(np.float32)
    return Frame(PointCloud(points))


class VoxelLabeller:
    """Gives each point the label of its voxel.

    Args:
        score: (coords, features, timer) -> scores.
        voxel_size_m: edge of a voxel.
        capacity: clouds with more voxels are clipped: points in voxels beyond these, in order of first occurrence,
            stay unlabelled.
        place: where the network runs.
        threads: CPU threads, all by default.
    """

    def __init__(
        self,
        score: Score,
        voxel_size_m: float,
        capacity: int | None = None,
        place: Place = HOST,
        threads: int | None = None,
    ) -> None:
        self._score = score
        self._voxel_size_m = voxel_size_m
        self._capacity = capacity
        self._place = place
        self._threads = threads

    def label(self, points: NDArray[np.float32], timer: StageTimer) -> Labels:
        """Label a cloud; see `PointLabeller`."""
        with timer.stage("voxelize"):
            voxels = voxelize_frame(points, self._voxel_size_m, threads=self._threads, place=self._place)
            kept = slice(self._capacity)
        scores = self._score(voxels.coords[kept], voxels.features[kept], timer)
        with timer.stage("labels"):
            labels = rows.best_class(scores, threads=self._threads)
            class_ids, probabilities = rows.spread_labels(*labels, voxels.inverse, threads=self._threads)
            return self._place.download(class_ids), self._place.download(probabilities)


class BlockLabeller:
    """Cuts the cloud into square blocks and labels the points of each, several blocks at a time.

    Args:
        score: (points, timer) -> scores.
        settings: the size of blocks.
        place: where the network runs.
        threads: CPU threads, all by default.
    """

    def __init__(self, score: Score, settings: BlockSettings, place: Place = HOST, threads: int | None = None) -> None:
        self._score = score
        self._settings = settings
        self._place = place
        self._threads = threads

    def label(self, points: NDArray[np.float32], timer: StageTimer) -> Labels:
        """Label a cloud; see `PointLabeller`."""
        if not np.isfinite(points).all():
            raise ValueError("points hold NaN or infinite values; remove them first")
        class_ids, probabilities = np.empty(len(points), np.uint8), np.empty(len(points), np.float32)
        with timer.stage("blocks"):
            groups = list(self._groups(points))
        for blocks in groups:
            with timer.stage("features"):
                features = self._place.upload(self._features(points, blocks))
            scores = self._score(features, timer)
            with timer.stage("labels"):
                for block, own_scores in zip(blocks, self._place.download(scores), strict=True):
                    labelled = block.rows[block.inside]
                    found = np.ascontiguousarray(own_scores.T[: len(block.rows)][block.inside])
                    class_ids[labelled], probabilities[labelled] = rows.best_class(found, threads=self._threads)
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
        return np.ascontiguousarray(np.stack(features))
