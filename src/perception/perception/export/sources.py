"""Finding what is to be exported: a bundle, its bundle.yaml, or a training configuration with weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pydantic
from safetensors import safe_open
from torch import nn

from perception.bundle.detection import CenterDecoding
from perception.bundle.files import BundleFiles
from perception.bundle.format import (
    DESCRIPTION_FILE,
    WEIGHTS_FILE,
    DetectorSettings,
    NetworkSettings,
    PvcnnSettings,
    check_weights_file,
    read_any_description,
)
from perception.bundle.graph import GRAPH_FILE
from perception.bundle.supernet import Elasticity
from perception.classes import NUSCENES_LIDARSEG, SEMANTIC_KITTI, ClassSet, object_colors
from perception.configuration import ConfigurationError, Settings, load_yaml, parse_settings
from perception.export.exporter import Source
from perception.models.build import build_detector, build_network
from perception.models.checkpoints import load_average, load_checkpoint
from perception.paths import share_folder
from perception.runtime.self_check import SELF_CHECK_FILE

#: Of each point: x, y, z and intensity.
CLOUD_FEATURES = 4


class _Part(Settings):
    """Some keys of a file with more."""

    model_config = pydantic.ConfigDict(extra="ignore")


class _Supernet(_Part):
    elasticity: Elasticity = Elasticity()


class _Data(_Part):
    source: str = "simulated"
    merged_sweeps: int = 1

    @property
    def classes(self) -> ClassSet:
        """What the clouds of a source are labelled with."""
        return NUSCENES_LIDARSEG if self.source == "nuscenes" else SEMANTIC_KITTI


class TrainingConfiguration(_Part):
    """What a bundle takes from a training configuration; the rest is how it was trained."""

    task: Literal["segmentation"] = "segmentation"
    name: str
    network: NetworkSettings
    supernet: _Supernet | None = None
    voxel_size_m: float = pydantic.Field(gt=0)
    data: _Data = _Data()
    half_weights: bool = False


class DetectorConfiguration(_Part):
    """The same of a detector's."""

    task: Literal["detection"]
    name: str
    network: DetectorSettings
    classes: tuple[str, ...]
    decoding: CenterDecoding
    data: _Data = _Data()
    half_weights: bool = False


@dataclass(frozen=True)
class Overrides:
    """What the command line says about a bundle."""

    name: str | None = None
    license: str | None = None
    origin: str | None = None


def find_source(config: str, weights: Path | None, overrides: Overrides, half: bool = False) -> Source:
    """Build the network that a configuration describes, with its weights.

    Args:
        config: a bundle (its folder, or the name of a shipped one), a bundle.yaml, or a training configuration (a
            file, or its name in config/training).
        weights: a checkpoint or .safetensors file; by default those of the bundle.
        overrides: what to say about the result instead.
        half: store weights in half precision even if they were not stored so before.

    Raises:
        ConfigurationError: there is no such thing, or its weights are not the network's.
    """
    file = _find(config)
    if file.is_dir() or file.name == DESCRIPTION_FILE:
        source = _of_bundle(file if file.is_dir() else file.parent, weights, overrides)
        return replace(source, half=source.half or half)
    if weights is None:
        raise ConfigurationError(f"{file}: is a training configuration; give the weights with --weights FILE")
    source = _of_training(file, weights, overrides)
    return replace(source, half=source.half or half)


def _find(config: str) -> Path:
    given, shared = Path(config), share_folder() / "config"
    candidates = [given, shared / "models" / config, shared / "training" / f"{config}.yaml"]
    for candidate in candidates:
        if candidate.is_file() or (candidate / DESCRIPTION_FILE).is_file():
            return candidate
    raise ConfigurationError(
        f"no bundle or training configuration '{config}': give a folder with a {DESCRIPTION_FILE}, or a file"
    )


def _of_bundle(folder: Path, weights: Path | None, overrides: Overrides) -> Source:
    if weights is not None and weights.resolve() == (folder / WEIGHTS_FILE).resolve():
        weights = None
    files = BundleFiles(folder, DESCRIPTION_FILE)
    description = read_any_description(files)
    if weights is None:
        check_weights_file(files, description)
    values = description.model_dump(exclude={"weights_sha256", "files"})
    if weights is not None:  # what was measured was measured with other weights
        values |= {"measured": {}, "origin": _origin(weights), "license": "unknown"}
    stored = weights or folder / WEIGHTS_FILE
    kept = {
        name: (folder / name).read_bytes()
        for name in description.files
        if name not in (GRAPH_FILE, SELF_CHECK_FILE) and not name.endswith(".onnx")
    }
    return _source(description.network, values, stored, _is_half(stored), overrides, kept)


def _of_training(file: Path, weights: Path, overrides: Overrides) -> Source:
    settings = parse_training(file)
    values = described(settings) | {"license": "unknown", "origin": _origin(weights)}
    return _source(settings.network, values, weights, settings.half_weights, overrides, {})


def described(settings: Any) -> dict[str, Any]:
    """What a training configuration, whole or as far as it is read here, says in a bundle.yaml."""
    values = {"format": 1, "name": settings.name, "task": settings.task, "network": settings.network.model_dump()}
    if settings.task == "detection":
        return values | {
            "decoding": settings.decoding.model_dump(),
            "classes": settings.classes,
            "colors": object_colors(settings.classes),
            "sweeps": settings.data.merged_sweeps,
        }
    classes: ClassSet = settings.data.classes
    return values | {
        "supernet": settings.supernet.elasticity.model_dump() if settings.supernet else None,
        "classes": classes.names,
        "colors": classes.colors.tolist(),
        "voxel_size_m": settings.voxel_size_m,
    }


def parse_training(file: Path) -> TrainingConfiguration | DetectorConfiguration:
    """Read what a bundle needs of a training configuration.

    Raises:
        ConfigurationError: it is none.
    """
    values = load_yaml(file)
    detects = isinstance(values, dict) and values.get("task") == "detection"
    needed = {"name", "network", "decoding" if detects else "voxel_size_m"}
    if not isinstance(values, dict) or not needed <= set(values):
        raise ConfigurationError(f"{file}: neither a {DESCRIPTION_FILE} nor a training configuration")
    if detects:
        return parse_settings(DetectorConfiguration, values, file)
    return parse_settings(TrainingConfiguration, values, file)


def _source(
    settings: Any, values: dict[str, Any], file: Path, half: bool, overrides: Overrides, kept: dict[str, bytes]
) -> Source:
    detects = values["task"] == "detection"
    if not detects and not isinstance(settings, PvcnnSettings) and settings.input_channels != CLOUD_FEATURES:
        raise ConfigurationError(
            f"{file}: takes {settings.input_channels} features a voxel; a cloud has x, y, z and intensity"
        )
    build: Callable[[Any, int], nn.Module] = build_detector if detects else build_network
    network = build(settings, len(values["classes"]))
    # What else trains does not ship its average as it is: supernets measure statistics, voxels' features are scaled.
    (load_average if detects else load_checkpoint)(network, file)
    said = {key: value for key, value in vars(overrides).items() if value is not None}
    return Source(network, {**values, **said}, half, kept)


def _is_half(file: Path) -> bool:
    """Whether a bundle's weights are stored in half precision."""
    if file.suffix != ".safetensors":
        return False
    with safe_open(file, "numpy") as tensors:
        return any(tensors.get_slice(name).get_dtype() == "F16" for name in tensors.keys())  # noqa: SIM118


def _origin(weights: Path) -> str:
    digest = hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else ""
    return f"perception export of {weights.name} (sha256 {digest})"
