"""From a trained detector to its bundle."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from perception.bundle.format import DetectionDescription
from perception.bundle.writer import write_described
from perception.classes import NUSCENES_LIDARSEG
from perception.evaluation.detection_metrics import DetectionMetrics
from perception.training.detection.settings import DetectionSettings
from perception.training.detection.validation import detection_figures
from perception.training.trainer import Trainer

LICENSE = "Apache-2.0"
#: Of classes that nuScenes does not colour.
GREY = (128, 128, 128)


def export_detector(
    trainer: Trainer, network: nn.Module, measured: DetectionMetrics, command: str, folder: Path
) -> DetectionDescription:
    """Write the deployed network with what was measured on the validation's clouds and how it came about."""
    settings = trainer.settings
    assert isinstance(settings, DetectionSettings)
    colors = dict(zip(NUSCENES_LIDARSEG.names, NUSCENES_LIDARSEG.colors.tolist(), strict=True))
    batch = settings.batch_size * settings.parts
    clouds = f"{batch} cloud{'s' * (batch > 1)}"
    values = {
        "format": 1,
        "name": settings.name,
        "task": "detection",
        "engine": "native",
        "network": settings.network.model_dump(),
        "decoding": settings.decoding.model_dump(),
        "classes": settings.classes,
        "colors": [colors.get(name, GREY) for name in settings.classes],
        "sweeps": settings.data.merged_sweeps,
        "measured": {name: value for name, value in detection_figures(measured).items() if value == value}
        | {"on": settings.data.description("validation")},
        "license": LICENSE,
        "origin": f"{command}; trained on {settings.data.description('training')}, "
        f"{trainer.step} steps of {clouds}, seed {settings.seed}",
    }
    tensors = {name: tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()}
    return write_described(DetectionDescription, folder, values, tensors, settings.half_weights)
