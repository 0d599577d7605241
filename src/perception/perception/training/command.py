"""`perception train CONFIG --out BUNDLE`: simulate, train, validate, write the bundle."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from perception.classes import IGNORED, SEMANTIC_KITTI_CLASSES
from perception.configuration import ConfigurationError, load_settings
from perception.evaluation.metrics import ConfusionMatrix
from perception.paths import share_folder
from perception.training.clouds import LabelledPoints, cache_folder, load_clouds, make_clouds, simulated_drive
from perception.training.distributed import Group, group_of_torchrun
from perception.training.export import export_bundle, round_to_half
from perception.training.loop import CHECKPOINT_FILE, deployed_network, train
from perception.training.losses import class_weights
from perception.training.settings import SeedRange, TrainingSettings
from perception.training.trainer import Trainer
from perception.training.validation import evaluate


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
        clouds = _clouds(settings, settings.data.training_seeds, arguments.work)
        validation = _clouds(settings, settings.data.validation_seeds, arguments.work)
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
    clouds: list[LabelledPoints],
    validation: list[LabelledPoints],
    arguments: argparse.Namespace,
    console: Console,
) -> None:
    network = deployed_network(trainer, clouds)
    if trainer.settings.half_weights:
        round_to_half(network)
    confusion = evaluate(trainer.learner.labeller(network), validation, len(trainer.class_weights))
    command = f"perception train {Path(arguments.config).stem}"
    export_bundle(trainer, network, confusion, command, arguments.out)
    _print_result(confusion, arguments.out, console)


def load_configuration(name_or_file: str, steps: int | None = None) -> TrainingSettings:
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
    settings = load_settings(TrainingSettings, file)
    return settings if steps is None else settings.model_copy(update={"steps": steps})


def start(
    settings: TrainingSettings,
    clouds: list[LabelledPoints],
    checkpoint: Path | None = None,
    group: Group | None = None,
    device: str = "cpu",
) -> Trainer:
    """Make a trainer for the clouds, fresh or from a checkpoint."""
    counts = np.sum([np.bincount(cloud.class_ids, minlength=IGNORED + 1) for cloud in clouds], axis=0)
    weights = class_weights(counts[: len(SEMANTIC_KITTI_CLASSES)], settings.loss.class_weight_power)
    trainer = Trainer(settings, weights, group, device)
    if checkpoint:
        trainer.resume(checkpoint)
    return trainer


def _clouds(settings: TrainingSettings, seeds: SeedRange, work: Path) -> list[LabelledPoints]:
    drive = simulated_drive(settings.data)
    return load_clouds(make_clouds(drive, seeds.seeds, cache_folder(work / "clouds", settings.data)))


def _print_result(confusion: ConfusionMatrix, bundle: Path, console: Console) -> None:
    for name, iou in zip(SEMANTIC_KITTI_CLASSES, confusion.iou(), strict=True):
        console.print(f"  {name:<15} {iou:6.3f}" if iou == iou else f"  {name:<15}      -")
    console.print(f"mean IoU on the validation drives {confusion.mean_iou():.3f}; bundle written to {bundle}")
