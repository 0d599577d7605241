"""Training: it learns, it resumes, and it refuses what is no checkpoint of its own."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from perception.configuration import ConfigurationError
from perception.models.checkpoints import read_tensors
from perception.training.batches import make_batch, prefetched, samples_of_part
from perception.training.clouds import LabelledPoints
from perception.training.command import start
from perception.training.export import export_bundle
from perception.training.loop import CHECKPOINT_FILE, LOG_FILE, deployed_network, train, validate
from perception.training.settings import TrainingSettings
from perception.training.trainer import Trainer
from perception.training.validation import evaluate

QUIET = Console(quiet=True)


def _states_equal(a: Trainer, b: Trainer) -> bool:
    pairs = [(a.learner.module, b.learner.module), (a.average, b.average)]
    return all(
        torch.equal(left, right)
        for one, other in pairs
        for left, right in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


def test_steps_lower_the_loss(settings: TrainingSettings, clouds: list[LabelledPoints]) -> None:
    trainer = start(settings, clouds)
    batch = make_batch(range(2), clouds, settings)
    losses = [trainer.advance([batch]).losses[0] for _ in range(6)]
    assert losses[1] < losses[0]
    assert losses[-1] < 0.8 * losses[0]


def test_a_resumed_run_equals_an_uninterrupted_one(
    settings: TrainingSettings, clouds: list[LabelledPoints], tmp_path: Path
) -> None:
    whole = start(settings, clouds)
    train(whole, clouds, clouds[:1], tmp_path / "whole", QUIET)
    interrupted = start(settings, clouds)
    for batch in prefetched([samples_of_part(step, 0, 1, 2) for step in range(4)], clouds, settings):
        interrupted.advance([batch])
    interrupted.save(tmp_path / "half" / CHECKPOINT_FILE)
    resumed = start(settings, clouds, tmp_path / "half" / CHECKPOINT_FILE)
    assert resumed.step == 4
    train(resumed, clouds, clouds[:1], tmp_path / "half", QUIET)
    assert resumed.step == whole.step == settings.steps
    assert _states_equal(whole, resumed)


def test_the_log_has_a_row_for_every_checkpoint_and_validation(
    settings: TrainingSettings, clouds: list[LabelledPoints], tmp_path: Path
) -> None:
    train(start(settings, clouds), clouds, clouds[:1], tmp_path, QUIET)
    with (tmp_path / LOG_FILE).open() as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["step"]) for row in rows] == [2, 3, 4, 6]
    assert all(0 < float(row["loss"]) < 20 and 0 <= float(row["mean_iou"]) <= 1 for row in rows)
    assert [bool(row["validation_mean_iou"]) for row in rows] == [False, True, False, False]


def test_other_files_are_refused(settings: TrainingSettings, clouds: list[LabelledPoints], tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(1)}, tmp_path / "foreign.pt")
    start(settings, clouds).save(tmp_path / "mine.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "mine.pt").read_bytes()[:-500])
    wider = settings.model_copy(update={"network": settings.network.model_copy(update={"width": 0.25})})
    for name, wanted in (("foreign", settings), ("cut", settings), ("mine", wider), ("nowhere", settings)):
        with pytest.raises(ConfigurationError, match=rf"{name}\.pt: not a checkpoint of this configuration") as caught:
            start(wanted, clouds, tmp_path / f"{name}.pt")
        assert "\n" not in str(caught.value)


def test_an_epoch_holds_every_cloud_once(settings: TrainingSettings) -> None:
    marked = [LabelledPoints(np.full((1, 4), 0.5, np.float32), np.array([mark], np.uint8)) for mark in range(8)]
    seen = [
        mark
        for step in range(4)
        for mark in make_batch(range(2 * step, 2 * step + 2), marked, settings).classes.tolist()
    ]
    assert sorted(seen) == list(range(8))


def test_a_batch_keeps_its_clouds_apart(settings: TrainingSettings, clouds: list[LabelledPoints]) -> None:
    batch = make_batch(range(2), clouds, settings)
    number = batch.tables.coords(1)[:, 0]
    neighbours = batch.tables.submanifold(1)
    row, column = np.nonzero(neighbours >= 0)
    assert set(number.tolist()) == {0, 1}
    np.testing.assert_array_equal(number[row], number[neighbours[row, column]])


def test_the_bundle_takes_raw_features(
    settings: TrainingSettings, clouds: list[LabelledPoints], tmp_path: Path
) -> None:
    trainer = start(settings, clouds)
    trainer.advance([make_batch(range(2), clouds, settings)])
    batch = make_batch(range(2, 4), clouds, settings)
    raw = batch.features / torch.tensor(settings.feature_scale)
    scaled_network, raw_network = trainer.average.eval(), deployed_network(trainer, clouds).eval()
    with torch.inference_mode():
        torch.testing.assert_close(
            raw_network.label(batch.tables, raw), scaled_network.label(batch.tables, batch.features)
        )
    confusion = validate(trainer, clouds, clouds[:1])
    description = export_bundle(trainer, raw_network, confusion, "perception train tiny", tmp_path / "bundle")
    assert description.measured["mean_iou"] == round(confusion.mean_iou(), 4)
    assert set(description.measured) == {"mean_iou", "iou.car", "iou.road", "iou.pole", "on"}
    assert "seeds 10 to 11, 1 steps of 2 clouds" in description.origin
    saved = read_tensors(tmp_path / "bundle" / "weights.safetensors")
    assert all(torch.equal(saved[name], tensor) for name, tensor in raw_network.state_dict().items())


def test_every_point_is_evaluated(settings: TrainingSettings, clouds: list[LabelledPoints]) -> None:
    trainer = start(settings, clouds)
    confusion = evaluate(trainer.learner.labeller(deployed_network(trainer, clouds)), clouds, 19)
    assert confusion.truth_points.sum() == sum((cloud.class_ids != 255).sum() for cloud in clouds)
