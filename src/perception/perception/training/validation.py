"""How good a network is on drives that it never saw."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from perception.evaluation.metrics import ConfusionMatrix
from perception.models.network import SegmentationNetwork
from perception.models.voxels import voxelize_frame
from perception.nn.fusion import fuse
from perception.nn.tables import FrameTables
from perception.training.clouds import LabelledPoints

#: Gives each of a cloud's points, float32 [N, 4], its class: uint8 [N].
Labeller = Callable[[NDArray[np.float32]], NDArray[np.uint8]]


class VoxelLabeller:
    """Labels points by the voxels that they lie in, with a network that takes raw features."""

    def __init__(self, network: SegmentationNetwork, voxel_size_m: float) -> None:
        self._network = fuse(copy.deepcopy(network))
        self._voxel_size_m = voxel_size_m

    def __call__(self, points: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Label a cloud."""
        voxels = voxelize_frame(points, self._voxel_size_m)
        with torch.inference_mode():
            scores = self._network.label(FrameTables(voxels.coords), torch.from_numpy(voxels.features))
        class_ids: NDArray[np.uint8] = scores.argmax(1).byte().numpy()[voxels.inverse]
        return class_ids


def evaluate(label: Labeller, clouds: Sequence[LabelledPoints], classes: int) -> ConfusionMatrix:
    """Label every point of the clouds, and compare."""
    confusion = ConfusionMatrix(classes)
    for cloud in clouds:
        confusion.add(cloud.class_ids, label(cloud.points))
    return confusion
