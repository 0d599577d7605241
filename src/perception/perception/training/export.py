"""From a trained network to its bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from perception.bundle.format import BundleDescription
from perception.evaluation.metrics import ConfusionMatrix
from perception.export.exporter import Source, export_network
from perception.export.sources import described
from perception.training.settings import TrainingSettings
from perception.training.trainer import Trainer
from perception.training.validation import measured_figures

LICENSE = "Apache-2.0"


def export_bundle(
    trainer: Trainer,
    network: nn.Module,
    measured: ConfusionMatrix,
    command: str,
    folder: Path,
    clouds: Sequence[NDArray[np.float32]] = (),
) -> BundleDescription:
    """Write the deployed network with what was measured on the validation drives and how it came about.

    The bundle runs without PyTorch; it is compared with PyTorch on the clouds, float32 [N, 4], by default on a small
    made-up street.
    """
    settings, parts = trainer.settings, trainer.learner.parts
    assert isinstance(settings, TrainingSettings)
    batch = f"{settings.batch_size} cloud{'s' * (settings.batch_size > 1)}" + (
        f" for each of {parts} networks" if parts > 1 else ""
    )
    values = described(settings) | {
        "measured": measured_figures(measured, settings.data.classes.names)
        | {"on": settings.data.description("validation")},
        "license": LICENSE,
        "origin": f"{command}; trained on {settings.data.description('training')}, "
        f"{trainer.step} steps of {batch}, seed {settings.seed}",
    }
    return export_network(Source(network, values, settings.half_weights), folder, clouds).description


def round_to_half(network: nn.Module) -> None:
    """Give a network the weights that a bundle in half precision will hold, so that what is measured is what ships."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.copy_(parameter.half().float())
