"""Writing a bundle: all of it or nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from safetensors.numpy import save

from perception.bundle.files import BundleFiles
from perception.bundle.format import (
    DESCRIPTION_FILE,
    WEIGHTS_FILE,
    BundleDescription,
    CommonDescription,
    Description,
    read_any_description,
)
from perception.bundle.supernet import NORM_COUNTER
from perception.configuration import ConfigurationError, parse_settings


def write_bundle(
    folder: Path,
    values: Mapping[str, Any],
    tensors: Mapping[str, NDArray[Any]],
    half: bool = False,
    files: Mapping[str, bytes] | None = None,
    check: Callable[[Path], None] | None = None,
) -> BundleDescription:
    """Write the bundle of a network that labels points; else as `write_described`."""
    return write_described(BundleDescription, folder, values, tensors, half, files, check)


def write_described(
    kind: type[Description],
    folder: Path,
    values: Mapping[str, Any],
    tensors: Mapping[str, NDArray[Any]],
    half: bool = False,
    files: Mapping[str, bytes] | None = None,
    check: Callable[[Path], None] | None = None,
) -> Description:
    """Write a bundle; one that was there before is replaced only when the new one is complete.

    Args:
        kind: of its description.
        folder: where; made if missing.
        values: the keys of bundle.yaml, all but checksums.
        tensors: the weights by name.
        half: round weights to half precision, and leave out what only training counts.
        files: what else belongs to it, by name: the graph, its ONNX regions, the self-check.
        check: looks at the complete new folder before it takes the old one's place; what it raises leaves the old one.

    Raises:
        ConfigurationError: a description that would not load, a folder that holds something else, or a weight too
            large for half precision.
    """
    tensors = halved(tensors) if half else tensors
    weights = save({name: np.asarray(tensor, order="C") for name, tensor in tensors.items()})
    contents = {WEIGHTS_FILE: weights, **(files or {})}
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    values = {**values, "weights_sha256": checksums.pop(WEIGHTS_FILE), "files": checksums}
    description = parse_settings(kind, values, folder / DESCRIPTION_FILE)
    _refuse_foreign(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        fresh = Path(scratch) / folder.name
        fresh.mkdir()
        for name, content in contents.items():
            (fresh / name).write_bytes(content)
        (fresh / DESCRIPTION_FILE).write_text(_to_yaml(description))
        if check is not None:
            check(fresh)
        _replace_folder(folder, fresh, Path(scratch) / "old")
    return description


def halved(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Round what layers multiply with (two axes or more); biases and statistics are few and stay as they are."""
    rounded: dict[str, NDArray[Any]] = {}
    for name, tensor in tensors.items():
        if name.endswith(NORM_COUNTER):
            continue
        if np.ndim(tensor) < 2 or not np.issubdtype(tensor.dtype, np.floating):
            rounded[name] = tensor
            continue
        with np.errstate(over="ignore"):
            rounded[name] = np.asarray(tensor).astype(np.float16)
        if np.isinf(rounded[name]).any():
            raise ConfigurationError(f"{name}: holds values beyond half precision (65504); write it in full precision")
    return rounded


def _to_yaml(description: CommonDescription) -> str:
    values = description.model_dump(mode="json", exclude_none=True)
    checksums = {"files": values.pop("files")}  # last, one a line
    text: str = yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)
    return text + yaml.safe_dump(checksums, sort_keys=False, default_flow_style=False)


def _refuse_foreign(folder: Path) -> None:
    """A path given by mistake must not be deleted: only an empty folder or a bundle is replaced."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: is a file; give a folder for the bundle")
    strangers = sorted({entry.name for entry in folder.iterdir()} - {DESCRIPTION_FILE, WEIGHTS_FILE, *_listed(folder)})
    if strangers:
        raise ConfigurationError(f"{folder}: holds other files ({strangers[0]}); give an empty folder or a bundle")


def _listed(folder: Path) -> set[str]:
    """The further files of a bundle that is there."""
    try:
        return set(read_any_description(BundleFiles(folder, DESCRIPTION_FILE)).files)
    except ConfigurationError:  # none, or no bundle.yaml of ours: then every other file is a stranger
        return set()


def _replace_folder(folder: Path, fresh: Path, retired: Path) -> None:
    if folder.exists():
        os.replace(folder, retired)
    try:
        os.replace(fresh, folder)
    except OSError:
        if retired.exists():
            shutil.move(retired, folder)
        raise
