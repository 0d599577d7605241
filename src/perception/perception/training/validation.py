"""How good a network is on drives that it never saw."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch

from perception.evaluation.metrics import ConfusionMatrix
from perception.models.network import SegmentationNetwork
from perception.models.voxels import voxelize_frame
from perception.nn.fusion import fuse
from perception.nn.tables import FrameTables
from perception.training.clouds import LabelledPoints

#: [27, features, channels]
FIRST_KERNEL = "stem.0.kernel"


def fold_feature_scale(network: SegmentationNetwork, scale: Sequence[float]) -> SegmentationNetwork:
    """A copy whose first layer takes raw features, where `network` takes features times `scale`."""
    folded = copy.deepcopy(network)
    with torch.no_grad():
        folded.state_dict()[FIRST_KERNEL].mul_(torch.tensor(scale)[:, None])
    return folded


def evaluate(
    network: SegmentationNetwork, clouds: Sequence[LabelledPoints], voxel_size_m: float, classes: int
) -> ConfusionMatrix:
    """Label every point of the clouds with a network that takes raw features, and compare."""
    confusion = ConfusionMatrix(classes)
    fused = fuse(copy.deepcopy(network))
    with torch.inference_mode():
        for cloud in clouds:
            voxels = voxelize_frame(cloud.points, voxel_size_m)
            scores = fused.label(FrameTables(voxels.coords), torch.from_numpy(voxels.features))
            predicted = scores.argmax(1).byte().numpy()[voxels.inverse]
            confusion.add(cloud.class_ids, predicted)
    return confusion
