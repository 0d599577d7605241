"""Training of CenterPoint: the same steps, targets and losses as of any detector."""

from __future__ import annotations

import pytest
import torch

from perception.bundle.voxelnet import VoxelNetSettings
from perception.models.build import build_detector
from perception.models.centerpoint import CenterPoint
from perception.training.command import load_configuration, start
from perception.training.detection.batches import detection_batch
from perception.training.detection.settings import DetectionSettings
from perception.training.detection.validation import detect
from perception.training.loop import deployed_network
from tests.training.test_detection import three_streets

SETTINGS = DetectionSettings.model_validate(
    {
        "task": "detection",
        "name": "tiny",
        "network": {
            "model": "centerpoint",
            "range_m": (-8, -8, -2, 8, 8, 2),
            "voxel_m": (0.25, 0.25, 0.5),
            "point_channels": 4,
            "channels": (8, 8),
            "blocks": (1, 0),
            "steps": ({},),
            "output_channels": 8,
            "backbone_channels": (16,),
            "backbone_layers": (1,),
            "neck_channels": (16,),
            "head_channels": 16,
        },
        "classes": ("car", "truck"),
        "decoding": {"center_range_m": (-8, -8, -9, 8, 8, 9), "suppression": ({"iou": 0.2}, {"iou": 0.2})},
        "data": {
            "training_seeds": {"first": 10, "count": 2},
            "validation_seeds": {"first": 1, "count": 1},
            "sweeps_per_drive": 2,
            "sweep_step": 1,
        },
        "optimizer": {"learning_rate": 0.01, "warm_up_steps": 5, "average_decay": 0.5},
        "batch_size": 2,
        "steps": 30,
    }
)


def test_a_few_steps_lower_the_loss() -> None:
    clouds = three_streets()
    trainer = start(SETTINGS, clouds)
    batch = detection_batch(clouds, SETTINGS)
    assert batch.truth.heatmap.shape == (3, 2, 32, 32)
    losses = [trainer.advance([batch]).losses[0] for _ in range(SETTINGS.steps)]
    assert losses[-1] < 0.6 * losses[0]
    network = deployed_network(trainer, clouds)
    assert isinstance(network, CenterPoint)
    assert all(torch.isfinite(parameter).all() for parameter in network.parameters())
    assert set(detect(network, clouds[0], SETTINGS).class_names) <= {"car", "truck"}


def test_the_configuration_describes_a_network_that_is_trained_as_the_others() -> None:
    settings = load_configuration("centerpoint_street")
    assert isinstance(settings, DetectionSettings)
    network = settings.network
    assert isinstance(network, VoxelNetSettings)
    assert network.grid_size == (128, 128)
    assert network.cell_m == pytest.approx((0.8, 0.8))
    others = load_configuration("flatformer_street")
    assert isinstance(others, DetectionSettings)
    # All but the network and its name, or the comparison would be of trainings.
    unlike = {"name", "network"}
    assert settings.model_dump(exclude=unlike) == others.model_dump(exclude=unlike)
    weights = sum(parameter.numel() for parameter in build_detector(network, len(settings.classes)).parameters())
    assert 2 * weights < 8e6  # bytes in half precision
