"""Batches of clouds with what a centre head should say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from perception.data.boxes import chosen, points_inside
from perception.runtime.detections import box_coding, points_in_range
from perception.training.clouds import LabelledPoints
from perception.training.detection.losses import CenterTruth
from perception.training.detection.settings import DetectionSettings
from perception.training.detection.targets import center_targets, truth_boxes
from perception.types import Boxes3D


@dataclass(frozen=True)
class DetectionBatch:
    """Clouds and their truth.

    Attributes:
        clouds: float32 [N, C] each, points within the network's range.
        truth: what the maps should say.
    """

    clouds: tuple[Tensor, ...]
    truth: CenterTruth

    def to(self, device: torch.device) -> DetectionBatch:
        """The batch in a device's memory."""
        clouds = tuple(cloud.to(device) for cloud in self.clouds)
        return DetectionBatch(clouds, CenterTruth(*(part.to(device) for part in self.truth)))


def detection_batch(clouds: Sequence[LabelledPoints], settings: DetectionSettings) -> DetectionBatch:
    """Put augmented clouds together."""
    network = settings.network
    points = [points_in_range(cloud.points, network.range_m) for cloud in clouds]
    truth = [truth_boxes(seen_boxes(cloud, settings), settings.classes) for cloud in clouds]
    targets = center_targets(truth, box_coding(network), network.grid_size, len(settings.classes), settings.loss.heat)
    return DetectionBatch(
        tuple(map(torch.from_numpy, points)), CenterTruth(*(torch.from_numpy(part) for part in targets))
    )


def seen_boxes(cloud: LabelledPoints, settings: DetectionSettings) -> Boxes3D:
    """The objects of a cloud that show enough points to be found."""
    assert cloud.boxes is not None
    return chosen(cloud.boxes, points_inside(cloud.points, cloud.boxes) >= settings.min_points)
