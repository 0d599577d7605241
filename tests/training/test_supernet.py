"""Training of a supernet: what is drawn, how gradients average, several processes, statistics of one network."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from perception.configuration import ConfigurationError
from perception.runtime import load_engine
from perception.training.clouds import LabelledPoints
from perception.training.command import start
from perception.training.distributed import Group
from perception.training.export import export_bundle
from perception.training.learners import SupernetLearner
from perception.training.loop import calibration_batches, deployed_network, train, validate
from perception.training.recalibration import recalibrate
from perception.training.settings import SupernetSettings, TrainingSettings
from perception.training.trainer import Trainer
from perception.types import Frame, PointCloud
from tests.training.processes import batches_of, results_of_processes

QUIET = Console(quiet=True)
ARCHITECTURE = {"stem": 4, "down": [4, 8, 8, 12], "up": [12, 8, 8, 8], "depth": 2}


@pytest.fixture
def supernet_settings(settings: TrainingSettings) -> TrainingSettings:
    values = settings.model_dump() | {
        "network": {"model": "spvnas", "architecture": ARCHITECTURE},
        "supernet": {"elasticity": {"granularity": 4}, "networks_per_step": 3},
    }
    return TrainingSettings.model_validate(values)


def learner_of(trainer: Trainer) -> SupernetLearner:
    assert isinstance(trainer.learner, SupernetLearner)
    return trainer.learner


def test_the_first_network_is_the_largest_and_the_others_vary(
    supernet_settings: TrainingSettings, clouds: list[LabelledPoints]
) -> None:
    learner = learner_of(start(supernet_settings, clouds))
    drawn = [[learner.network_of(step, part) for part in range(3)] for step in range(4)]
    assert all(networks[0] == learner.space.largest for networks in drawn)
    assert len({repr(network) for networks in drawn for network in networks[1:]}) > 4
    assert drawn[2][1] == learner.network_of(2, 1), "a resumed run draws the same networks"


def test_depths_shrink_one_by_one() -> None:
    settings = SupernetSettings(shrink=0.5)
    assert [settings.min_depth_at(progress, 3) for progress in (0, 0.24, 0.26, 0.49, 0.5, 1)] == [3, 3, 2, 2, 1, 1]
    assert SupernetSettings(shrink=0).min_depth_at(0, 3) == 1


def test_gradients_of_the_parts_average(supernet_settings: TrainingSettings, clouds: list[LabelledPoints]) -> None:
    trainer = start(supernet_settings, clouds)
    batches = batches_of(0, trainer, clouds)
    whole = start(supernet_settings, clouds)
    whole.advance(batches)
    gradients: dict[str, torch.Tensor] = {}
    for part, batch in enumerate(batches):
        alone = start(supernet_settings.model_copy(update={"dropout": 0.0}), clouds)
        alone.learner.module.train()
        loss = alone._forward(batch, part)[0]
        loss.backward()
        for name, parameter in alone.learner.module.named_parameters():
            if parameter.grad is not None:
                gradients[name] = gradients.get(name, torch.zeros_like(parameter)) + parameter.grad / len(batches)
    plain = start(supernet_settings.model_copy(update={"dropout": 0.0}), clouds)
    plain.advance(batches)
    norm = torch.cat([gradient.flatten() for gradient in gradients.values()]).norm()
    scale = min(1.0, 10.0 / float(norm))
    for name, parameter in plain.learner.module.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, gradients[name] * scale, rtol=1e-4, atol=1e-6)


def test_steps_lower_the_loss_of_every_network(
    supernet_settings: TrainingSettings, clouds: list[LabelledPoints]
) -> None:
    trainer = start(supernet_settings.model_copy(update={"steps": 40}), clouds)
    losses = np.array([trainer.advance(batches_of(step, trainer, clouds)).losses for step in range(20)])
    assert losses.shape == (20, 3)
    assert (losses[-5:].mean(0) < 0.7 * losses[0]).all()


def test_statistics_are_those_of_the_network_alone(
    supernet_settings: TrainingSettings, clouds: list[LabelledPoints]
) -> None:
    trainer = start(supernet_settings, clouds)
    learner = learner_of(trainer)
    network = learner.module.materialise(learner.space.smallest)
    (batch,) = itertools.islice(calibration_batches(clouds, supernet_settings), 1)
    recalibrate(network, [batch])
    assert not network.training
    seen: list[torch.Tensor] = []
    norm = network.stem[1]
    norm.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].features))
    network.label(batch.tables, batch.features)
    torch.testing.assert_close(norm.running_mean, seen[0].mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norm.running_var, seen[0].var(0), rtol=1e-3, atol=1e-5)
    assert norm.momentum == 0.1


def test_the_bundle_holds_the_whole_supernet(
    supernet_settings: TrainingSettings, clouds: list[LabelledPoints], tmp_path: Path
) -> None:
    trainer = start(supernet_settings, clouds)
    train(trainer, clouds, clouds[:1], tmp_path / "work", QUIET)
    network = deployed_network(trainer, clouds)
    confusion = validate(trainer, clouds, clouds[:1])
    description = export_bundle(trainer, network, confusion, "perception train tiny", tmp_path / "bundle")
    assert description.supernet is not None
    assert description.supernet.granularity == 4
    points = clouds[0].points
    labels = load_engine(tmp_path / "bundle").forward(Frame(PointCloud(points))).class_ids
    agreement = (labels == trainer.learner.labeller(network)(points)).mean()
    assert agreement > 0.99


def test_more_processes_than_parts_are_refused(
    supernet_settings: TrainingSettings, clouds: list[LabelledPoints]
) -> None:
    with pytest.raises(ConfigurationError, match="4 processes share 3 part"):
        start(supernet_settings, clouds, group=Group(0, 4))


def test_two_processes_have_the_losses_of_one(supernet_settings: TrainingSettings, tmp_path: Path) -> None:
    one, two = results_of_processes(supernet_settings, "tests.training.conftest:tiny_clouds", tmp_path)
    # The second step's losses are those of the first step's averaged gradients. Later ones drift apart: where gradients
    # are nearly zero, the optimiser's first steps divide their rounding by itself.
    assert one["losses"].shape == (2, 3)
    torch.testing.assert_close(two["losses"], one["losses"], rtol=1e-5, atol=0)
