"""Writing a bundle: all of it or nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from safetensors.numpy import save

from perception.bundle.format import DESCRIPTION_FILE, WEIGHTS_FILE, BundleDescription
from perception.bundle.supernet import NORM_COUNTER
from perception.configuration import ConfigurationError, parse_settings


def write_bundle(
    folder: Path, values: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], half: bool = False
) -> BundleDescription:
    """Write a bundle's two files; a bundle that was there before is replaced only when the new one is complete.

    Args:
        folder: where; made if missing.
        values: the keys of bundle.yaml, all but the checksum of the weights.
        tensors: the weights by name.
        half: round weights to half precision, and leave out what only training counts.

    Raises:
        ConfigurationError: a description that would not load, a folder that holds something else, or a weight too
            large for half precision.
    """
    tensors = _halved(tensors) if half else tensors
    content = save({name: np.asarray(tensor, order="C") for name, tensor in tensors.items()})
    checksum = hashlib.sha256(content).hexdigest()
    description = parse_settings(BundleDescription, {**values, "weights_sha256": checksum}, folder / DESCRIPTION_FILE)
    _refuse_foreign(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        fresh = Path(scratch) / "new"
        fresh.mkdir()
        (fresh / WEIGHTS_FILE).write_bytes(content)
        (fresh / DESCRIPTION_FILE).write_text(_to_yaml(description))
        _replace_folder(folder, fresh, Path(scratch) / "old")
    return description


def _halved(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Round what layers multiply with (two axes or more); biases and statistics are few and stay as they are."""
    halved: dict[str, NDArray[Any]] = {}
    for name, tensor in tensors.items():
        if name.endswith(NORM_COUNTER):
            continue
        if np.ndim(tensor) < 2 or not np.issubdtype(tensor.dtype, np.floating):
            halved[name] = tensor
            continue
        with np.errstate(over="ignore"):
            halved[name] = np.asarray(tensor).astype(np.float16)
        if np.isinf(halved[name]).any():
            raise ConfigurationError(f"{name}: holds values beyond half precision (65504); write it in full precision")
    return halved


def _to_yaml(description: BundleDescription) -> str:
    values = description.model_dump(mode="json", exclude_none=True)
    return yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)


def _refuse_foreign(folder: Path) -> None:
    """A path given by mistake must not be deleted: only an empty folder or a bundle is replaced."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: is a file; give a folder for the bundle")
    strangers = sorted({entry.name for entry in folder.iterdir()} - {DESCRIPTION_FILE, WEIGHTS_FILE})
    if strangers:
        raise ConfigurationError(f"{folder}: holds other files ({strangers[0]}); give an empty folder or a bundle")


def _replace_folder(folder: Path, fresh: Path, retired: Path) -> None:
    if folder.exists():
        os.replace(folder, retired)
    try:
        os.replace(fresh, folder)
    except OSError:
        if retired.exists():
            shutil.move(retired, folder)
        raise
