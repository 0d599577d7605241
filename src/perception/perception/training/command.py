"""`perception train CONFIG --out BUNDLE`: find or simulate clouds, train, validate, write the bundle."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from perception.classes import IGNORED
from perception.configuration import ConfigurationError, load_yaml, parse_settings
from perception.paths import share_folder
from perception.training.batches import AnySettings
from perception.training.clouds import LabelledPoints
from perception.training.data_settings import Part
from perception.training.detection.settings import DetectionSettings
from perception.training.distributed import Group, group_of_torchrun
from perception.training.export import export_bundle, round_to_half
from perception.training.loop import CHECKPOINT_FILE, deployed_network, train
from perception.training.losses import class_weights
from perception.training.settings import TrainingSettings
from perception.training.sources import open_clouds
from perception.training.trainer import Trainer

#: Clouds whose points are counted for the weights of the classes; of more, these are spread over all.
MAX_COUNTED_CLOUDS = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("config", help="a file, or the name of one in config/training")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the bundle")
    parser.add_argument("--steps", type=int, help="instead of the configuration's")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--work", type=Path, default=Path("out/training"), help="clouds, checkpoints and log go here")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to compute")
    parser.add_argument("--threads", type=int, help="cores to use, all by default")


def run(arguments: argparse.Namespace) -> int:
    """Train as the configuration says."""
    settings = load_configuration(arguments.config, arguments.steps)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    console = Console()
    folder = arguments.work / settings.name
    with group_of_torchrun() as group:
        if not group.leads:
            group.wait()  # until the leading process has made the clouds
        boxes = isinstance(settings, DetectionSettings)
        clouds, validation = (open_clouds(settings.data, part, arguments.work, boxes) for part in get_args(Part))
        if group.leads:
            group.wait()
        checkpoint = folder / CHECKPOINT_FILE if arguments.resume else None
        trainer = start(settings, clouds, checkpoint, group, arguments.device)
        train(trainer, clouds, validation, folder, console)
        if group.leads:
            _ship(trainer, clouds, validation, arguments, console)
        group.wait()
    return 0


def _ship(
    trainer: Trainer,
    clouds: Sequence[LabelledPoints],
    validation: Sequence[LabelledPoints],
    arguments: argparse.Namespace,
    console: Console,
) -> None:
    network = deployed_network(trainer, clouds)
    if trainer.settings.half_weights:
        round_to_half(network)
    measured = trainer.learner.evaluate(network, validation)
    command = f"perception train {Path(arguments.config).stem}"
    compared = [validation[0].points] if validation else []
    with console.status("comparing the bundle with PyTorch"):
        export_bundle(trainer, network, measured, command, arguments.out, compared)
    _print_result(trainer.learner.figures_of(measured), arguments.out, console)


def load_configuration(name_or_file: str, steps: int | None = None) -> AnySettings:
    """Read a training configuration by path or by its name in config/training.

    Raises:
        ConfigurationError: there is none, or a value in it is wrong.
    """
    folder = share_folder() / "config" / "training"
    candidates = [Path(name_or_file), folder / f"{name_or_file}.yaml"]
    file = next((candidate for candidate in candidates if candidate.is_file()), None)
    if file is None:
        names = ", ".join(sorted(known.stem for known in folder.glob("*.yaml")))
        raise ConfigurationError(f"no training configuration '{name_or_file}': give a file, or one of: {names}")
    values = load_yaml(file)
    if isinstance(values, dict) and values.get("task") == "detection":
        settings: AnySettings = parse_settings(DetectionSettings, values, file)
    else:
        settings = parse_settings(TrainingSettings, values, file)
    return settings if steps is None else settings.model_copy(update={"steps": steps})


def start(
    settings: AnySettings,
    clouds: Sequence[LabelledPoints],
    checkpoint: Path | None = None,
    group: Group | None = None,
    device: str = "cpu",
) -> Trainer:
    """Make a trainer for the clouds, fresh or from a checkpoint."""
    trainer = Trainer(settings, _class_weights(settings, clouds), group, device)
    if checkpoint:
        trainer.resume(checkpoint)
    return trainer


def _class_weights(settings: AnySettings, clouds: Sequence[LabelledPoints]) -> Tensor:
    if isinstance(settings, DetectionSettings):
        return torch.ones(len(settings.classes))
    looked_at = np.linspace(0, len(clouds) - 1, min(len(clouds), MAX_COUNTED_CLOUDS)).astype(int).tolist()
    counts = np.sum([np.bincount(clouds[number].class_ids, minlength=IGNORED + 1) for number in looked_at], axis=0)
    return class_weights(counts[: len(settings.data.classes)], settings.loss.class_weight_power)


def _print_result(figures: Mapping[str, float], bundle: Path, console: Console) -> None:
    (score, best), *others = figures.items()
    for name, value in others:
        console.print(f"  {name:<32} {value:6.3f}", highlight=False)
    console.print(f"{score.replace('_', ' ')} on the validation drives {best:.3f}; bundle written to {bundle}")
