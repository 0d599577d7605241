"""Reading weights: safetensors files and published PyTorch checkpoints, never a pickle that could run code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from perception.bundle.supernet import NORM_COUNTER
from perception.configuration import ConfigurationError

#: Where training scripts put the weights inside their checkpoints.
WEIGHT_KEYS = ("model", "state_dict")
#: What torch.nn.parallel.DistributedDataParallel puts before every name.
PARALLEL_PREFIX = "module."


def read_tensors(file: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a .safetensors file or of a PyTorch checkpoint, by name.

    Raises:
        ConfigurationError: the file cannot be read, is damaged, or holds anything but tensors.
    """
    file = Path(file)
    if not file.is_file():
        raise ConfigurationError(f"{file}: no such file")
    if file.suffix == ".safetensors":
        return _read_safetensors(file)
    return _tensors_in(_read_pytorch(file), file)


def load_weights(network: nn.Module, tensors: dict[str, Tensor], source: str | Path) -> None:
    """Copy tensors into a network that has exactly these names and shapes, as float32 whatever their precision.

    Only the counters of batch norm may be missing; they start again at 0.

    Raises:
        ConfigurationError: names or shapes differ; the message says how many and which one first.
    """
    expected = network.state_dict()
    counters = {name: torch.zeros_like(tensor) for name, tensor in expected.items() if name.endswith(NORM_COUNTER)}
    tensors = counters | tensors
    missing = sorted(expected.keys() - tensors.keys())
    foreign = sorted(tensors.keys() - expected.keys())
    if missing or foreign:
        parts = [f"{len(names)} {kind} (first: {names[0]})" for kind, names in
                 (("missing", missing), ("unknown", foreign)) if names]  # fmt: skip
        raise ConfigurationError(f"{source}: not weights of this network: {', '.join(parts)}")
    for name, tensor in expected.items():
        if tensor.shape != tensors[name].shape:
            raise ConfigurationError(
                f"{source}: {name} is {list(tensors[name].shape)}, this network has {list(tensor.shape)}; "
                "check width, classes and input channels"
            )
    network.load_state_dict(tensors)


def load_checkpoint(network: nn.Module, file: str | Path) -> None:
    """Load a file's weights into a network, strictly; errors as in `read_tensors` and `load_weights`."""
    load_weights(network, read_tensors(file), file)


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise ConfigurationError(f"{file}: damaged safetensors file ({error})") from None


def _read_pytorch(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ConfigurationError(f"{file}: refused, it holds Python objects that could run code") from None
    except (RuntimeError, EOFError, ValueError, OSError, KeyError):
        raise ConfigurationError(f"{file}: not a PyTorch checkpoint, or damaged") from None


def _tensors_in(content: Any, file: Path) -> dict[str, Tensor]:
    for key in WEIGHT_KEYS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content or not all(isinstance(value, Tensor) for value in content.values()):
        raise ConfigurationError(f"{file}: holds no network's weights (expected names with tensors)")
    return {name.removeprefix(PARALLEL_PREFIX): tensor for name, tensor in content.items()}
