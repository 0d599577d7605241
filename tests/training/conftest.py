"""A tiny world to learn: flat ground, boxes on it, thin poles."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from perception.data.drive import DriveFrame
from perception.training.clouds import LabelledPoints
from perception.training.settings import TrainingSettings
from perception.types import Frame, PointCloud

ROAD, CAR, POLE = 8, 0, 17


def tiny_drive(seed: int, frames: int = 2) -> Iterator[DriveFrame]:
    """Drives of 700 points whose classes can be told from their shape."""
    rng = np.random.default_rng(seed)
    for number in range(frames):
        ground = np.column_stack([rng.uniform(-6, 6, (400, 2)), rng.normal(-1.7, 0.02, 400)])
        car = rng.uniform((-2, -1, -1.6), (2, 1, 0), (200, 3)) + np.append(rng.uniform(-4, 4, 2), 0)
        pole = rng.uniform((-0.1, -0.1, -1.6), (0.1, 0.1, 3), (100, 3)) + np.append(rng.uniform(-5, 5, 2), 0)
        xyz = np.concatenate([ground, car, pole])
        points = np.column_stack([xyz, rng.random(len(xyz))]).astype(np.float32)
        class_ids = np.repeat([ROAD, CAR, POLE], [400, 200, 100]).astype(np.uint8)
        class_ids[::50] = 255
        instance_ids = np.repeat([0, 1, 2], [400, 200, 100]).astype(np.uint32)
        yield DriveFrame(Frame(PointCloud(points), number), np.eye(4), class_ids, instance_ids)


@pytest.fixture
def settings() -> TrainingSettings:
    return TrainingSettings.model_validate(
        {
            "name": "tiny",
            "network": {"model": "spvcnn", "width": 0.125},
            "voxel_size_m": 0.5,
            "data": {
                "training_seeds": {"first": 10, "count": 2},
                "validation_seeds": {"first": 1, "count": 1},
                "sweeps_per_drive": 2,
                "sweep_step": 1,
            },
            "optimizer": {"learning_rate": 0.01, "warm_up_steps": 0, "average_decay": 0.5},
            "feature_scale": [0.1, 0.1, 0.5, 1.0],
            "batch_size": 2,
            "steps": 6,
            "checkpoint_every": 2,
            "validate_every": 3,
        }
    )


def tiny_clouds() -> list[LabelledPoints]:
    """The labelled clouds of two drives."""
    moments = itertools.chain(tiny_drive(10), tiny_drive(11))
    return [LabelledPoints(moment.frame.cloud.points, moment.class_ids) for moment in moments]


@pytest.fixture(scope="module")
def clouds() -> list[LabelledPoints]:
    return tiny_clouds()
