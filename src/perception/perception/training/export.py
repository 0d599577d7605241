"""From a trained network to its bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from perception.bundle.format import CommonDescription
from perception.export.exporter import Source, export_network
from perception.export.sources import described
from perception.training.batches import AnySettings
from perception.training.settings import TrainingSettings
from perception.training.trainer import Trainer

LICENSE = "Apache-2.0"


def export_bundle(
    trainer: Trainer,
    network: nn.Module,
    measured: Any,
    command: str,
    folder: Path,
    clouds: Sequence[NDArray[np.float32]] = (),
) -> CommonDescription:
    """Write the deployed network with what was measured on the validation drives and how it came about.

    The bundle runs without PyTorch; it is compared with PyTorch on the clouds, float32 [N, C], by default on a small
    made-up street.
    """
    settings, figures = trainer.settings, trainer.learner.figures_of(measured)
    values = described(settings) | {
        "measured": {name: value for name, value in figures.items() if value == value}  # NaN: nothing to measure
        | {"on": settings.data.description("validation")},
        "license": LICENSE,
        "origin": f"{command}; trained on {settings.data.description('training')}, "
        f"{trainer.step} steps of {_step_of(settings, trainer.learner.parts)}, seed {settings.seed}",
    }
    return export_network(Source(network, values, settings.half_weights), folder, clouds).description


def _step_of(settings: AnySettings, parts: int) -> str:
    """What a step learns from."""
    networks = parts if isinstance(settings, TrainingSettings) else 1  # parts of other trainings are more clouds
    clouds = settings.batch_size * parts // networks
    return f"{clouds} cloud{'s' * (clouds > 1)}" + (f" for each of {networks} networks" if networks > 1 else "")


def round_to_half(network: nn.Module) -> None:
    """Give a network the weights that a bundle in half precision will hold, so that what is measured is what ships."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.copy_(parameter.half().float())
