"""Training on blocks: what is drawn, and that the trainer, the bundle and the engine take a PVCNN like any network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydantic
import pytest
import torch
from rich.console import Console

from perception.bundle.format import BlockSettings
from perception.runtime import load_engine
from perception.runtime.blocks import BLOCK_FEATURES, block_features
from perception.training.batches import BlockBatch, make_batch
from perception.training.clouds import LabelledPoints
from perception.training.command import start
from perception.training.export import export_bundle
from perception.training.loop import CHECKPOINT_FILE, deployed_network, train, validate
from perception.training.point_blocks import random_block
from perception.training.settings import BlockSampling, TrainingSettings
from perception.types import Frame, PointCloud
from tests.training.conftest import CAR, POLE, ROAD

QUIET = Console(quiet=True)
BLOCKS = BlockSettings(size_m=6, margin_m=1, height_m=(-2, 4), points=128)


@pytest.fixture
def block_settings(settings: TrainingSettings) -> TrainingSettings:
    network = {"model": "pvcnn", "width": 0.125, "voxel_resolution": 0.25, "blocks": BLOCKS.model_dump()}
    values = {"network": network, "feature_scale": [1.0] * BLOCK_FEATURES, "blocks": {"per_cloud": 3}}
    return TrainingSettings.model_validate(settings.model_dump() | values)


def test_a_block_is_a_square_of_the_cloud(clouds: list[LabelledPoints]) -> None:
    points, class_ids = clouds[0].points.copy(), clouds[0].class_ids
    points[:, 3] = np.arange(len(points)) / 1000  # tells which point it was
    features, classes = random_block(points, class_ids, np.random.default_rng(1), BLOCKS, BlockSampling())
    assert features.shape == (BLOCK_FEATURES, 128)
    rows = np.round(features[3] * 1000).astype(int)
    np.testing.assert_array_equal(classes, class_ids[rows])
    center_m = points[rows[0], :2] - features[:2, 0] * BLOCKS.half_m
    np.testing.assert_allclose(block_features(points[rows], center_m, BLOCKS)[:3], features[:3], atol=1e-5)
    assert (np.abs(points[rows, :2] - center_m) <= BLOCKS.half_m + 1e-4).all()


def test_few_points_are_repeated_evenly() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (50, 4)).astype(np.float32)
    features, _ = random_block(points, np.zeros(50, np.uint8), np.random.default_rng(0), BLOCKS, BlockSampling())
    counts = np.unique(features, axis=1, return_counts=True)[1]
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize(("balance", "least", "most"), [(0.0, 0.0, 0.05), (0.9, 0.3, 0.7)])
def test_rare_classes_are_drawn_more_often_where_asked(balance: float, least: float, most: float) -> None:
    rng = np.random.default_rng(0)
    points = np.zeros((1000, 4), np.float32)
    points[:10, 0] = 1000  # a rare class far away from the rest
    class_ids = np.repeat([CAR, ROAD], [10, 990]).astype(np.uint8)
    drawn = [random_block(points, class_ids, rng, BLOCKS, BlockSampling(balance=balance))[1][0] for _ in range(200)]
    assert least <= np.mean(np.array(drawn) == CAR) <= most


def test_a_cloud_without_classes_gives_blocks_too() -> None:
    points = np.zeros((5, 4), np.float32)
    _, classes = random_block(points, np.full(5, 255, np.uint8), np.random.default_rng(0), BLOCKS, BlockSampling())
    assert (classes == 255).all()


def test_batches_depend_on_their_samples_alone(block_settings: TrainingSettings, clouds: list[LabelledPoints]) -> None:
    batch, again, other = (make_batch(samples, clouds, block_settings) for samples in ((2, 3), (2, 3), (3, 4)))
    assert isinstance(batch, BlockBatch)
    assert batch.features.shape == (2 * 3, BLOCK_FEATURES, 128)
    assert batch.classes.shape == (2 * 3 * 128,)
    assert torch.equal(batch.features, again.features)
    assert torch.equal(batch.classes, again.classes)
    assert torch.equal(batch.features[3:], other.features[:3])


def test_scores_and_classes_are_of_the_same_points(
    block_settings: TrainingSettings, clouds: list[LabelledPoints]
) -> None:
    learner = start(block_settings, clouds).learner
    learner.module.eval()
    batch = make_batch(range(2), clouds, block_settings)
    scores = learner.predict(batch, 0, 0).reshape(6, 128, -1)
    torch.testing.assert_close(scores, learner.module(batch.features).transpose(1, 2))


def test_a_resumed_run_equals_an_uninterrupted_one(
    block_settings: TrainingSettings, clouds: list[LabelledPoints], tmp_path: Path
) -> None:
    whole, half = start(block_settings, clouds), start(block_settings, clouds)
    train(whole, clouds, clouds[:1], tmp_path / "whole", QUIET)
    for step in range(2):
        half.advance([make_batch(range(2 * step, 2 * step + 2), clouds, block_settings)])
    half.save(tmp_path / "half" / CHECKPOINT_FILE)
    resumed = start(block_settings, clouds, tmp_path / "half" / CHECKPOINT_FILE)
    train(resumed, clouds, clouds[:1], tmp_path / "half", QUIET)
    for left, right in zip(whole.average.state_dict().values(), resumed.average.state_dict().values(), strict=True):
        assert torch.equal(left, right)


def test_it_learns_the_tiny_world_and_the_engine_labels_it(
    block_settings: TrainingSettings, clouds: list[LabelledPoints], tmp_path: Path
) -> None:
    longer = block_settings.model_copy(update={"steps": 60, "validate_every": 1000, "dropout": 0.0})
    trainer = start(longer, clouds)
    train(trainer, clouds, clouds[:1], tmp_path / "work", QUIET)
    confusion = validate(trainer, clouds, clouds)
    iou = confusion.iou()
    assert all(iou[class_id] > 0.5 for class_id in (ROAD, CAR, POLE))
    description = export_bundle(
        trainer, deployed_network(trainer, clouds), confusion, "perception train tiny", tmp_path / "bundle"
    )
    assert description.network == longer.network
    result = load_engine(tmp_path / "bundle").forward(Frame(PointCloud(clouds[0].points)))
    label = trainer.learner.labeller(deployed_network(trainer, clouds))
    np.testing.assert_array_equal(result.class_ids, label(clouds[0].points))
    assert list(result.stage_ms) == ["blocks", "features", "maps", "network", "labels"]


def test_scaled_features_are_refused(block_settings: TrainingSettings) -> None:
    values = block_settings.model_dump() | {"feature_scale": [0.5, *[1.0] * (BLOCK_FEATURES - 1)]}
    with pytest.raises(pydantic.ValidationError, match="feature_scale must be 1 everywhere"):
        TrainingSettings.model_validate(values)
