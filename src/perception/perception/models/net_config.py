"""The `net.config` beside a published SPVNAS checkpoint: which network of the super-network was cut out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from perception.bundle.architecture import SpvnasArchitecture
from perception.bundle.format import SpvnasSettings
from perception.bundle.supernet import cut, tensor_slices
from perception.configuration import ConfigurationError, parse_settings
from perception.models.published import Published


def choose_network(published: Published, file: Path) -> Published:
    """Cut the network that a net.config describes out of a super-network; a specialised checkpoint must be that one.

    Raises:
        ConfigurationError: the file is no net.config, or describes a network that the checkpoint does not hold.
    """
    whole = published.settings
    assert isinstance(whole, SpvnasSettings)
    wanted = read_net_config(file, whole.architecture.classifier)
    if wanted == whole.architecture:
        return published
    if not _holds(whole.architecture, wanted):
        raise ConfigurationError(f"{file}: describes another network than the checkpoint holds; leave out --net-config")
    slices = tensor_slices(wanted, whole.architecture, published.classes, whole.input_channels)
    tensors = {
        name: cut(published.tensors[name], part, torch.cat)
        for name, part in slices.items()
        if name in published.tensors
    }
    settings = SpvnasSettings(architecture=wanted, input_channels=whole.input_channels)
    return replace(published, settings=settings, tensors=tensors)


def read_net_config(file: Path, classifier: int) -> SpvnasArchitecture:
    """Read the widths and depths.

    Args:
        file: JSON; output channels of every elastic layer by name, and the number of blocks of every stage.
        classifier: columns of the checkpoint's classifier, which the file does not tell.

    Raises:
        ConfigurationError: the file cannot be read, or lacks a layer.
    """
    try:
        values = json.loads(file.read_text())
        stages = [_stage(values, f"{way}.{step}") for way in ("downsample", "upsample") for step in range(4)]
        stem = values["output_channels"][0]
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read ({error.strerror or error})") from None
    except KeyError as error:
        raise ConfigurationError(f"{file}: no net.config of SPVNAS, it lacks {error}") from None
    except (ValueError, TypeError, LookupError, RecursionError):
        raise ConfigurationError(
            f"{file}: no net.config of SPVNAS (expected JSON with the channels of layers)"
        ) from None
    described = {"stem": stem, "down": stages[:4], "up": stages[4:], "classifier": classifier}
    return parse_settings(SpvnasArchitecture, described, file)


def _stage(values: dict[str, Any], name: str) -> dict[str, Any]:
    blocks = range(min(int(values[f"{name}.feature"]), 16))
    return {
        "transition": values[f"{name}.transition"],
        "hidden": [values[f"{name}.feature.layers.{block}.net.layers.0"] for block in blocks],
        "out": values[f"{name}.feature.layers.0.net.layers.1"],
    }


def _holds(whole: SpvnasArchitecture, part: SpvnasArchitecture) -> bool:
    """Whether the part's layers are nowhere wider and its stages nowhere deeper."""
    if part.stem != whole.stem:
        return False
    pairs = zip((*whole.down, *whole.up), (*part.down, *part.up), strict=True)
    return all(
        small.transition <= large.transition
        and small.out <= large.out
        and len(small.hidden) <= len(large.hidden)
        and all(a <= b for a, b in zip(small.hidden, large.hidden, strict=False))
        for large, small in pairs
    )
