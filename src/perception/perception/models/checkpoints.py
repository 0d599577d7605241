"""Weights by name: reading them from a file, comparing them with a network, loading them into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from perception.bundle.supernet import NORM_COUNTER
from perception.configuration import ConfigurationError
from perception.models.checkpoint_files import read_content

#: Where training scripts put the weights inside their checkpoints.
WEIGHT_KEYS = ("model", "state_dict")
#: Where `perception train` puts the running average of the weights, and what it counts there.
AVERAGE_KEY, AVERAGE_COUNTER = "average", "n_averaged"
#: What torch.nn.parallel.DistributedDataParallel puts before every name.
PARALLEL_PREFIX = "module."


@dataclass(frozen=True)
class Mismatch:
    """How tensors differ from those that a network has; each part by name, in order. Empty parts: none.

    Attributes:
        missing: what the network has and the tensors lack.
        unexpected: what the network does not know.
        reshaped: of another shape or kind of number; the network's, and the one found.
    """

    missing: dict[str, str]
    unexpected: dict[str, str]
    reshaped: dict[str, tuple[str, str]]

    def __len__(self) -> int:
        """Count the tensors that differ."""
        return len(self.missing) + len(self.unexpected) + len(self.reshaped)


def read_tensors(file: str | Path, keys: Sequence[str] = WEIGHT_KEYS) -> dict[str, Tensor]:
    """Read the tensors of a .safetensors file or of a PyTorch checkpoint, by name; floating ones as float32.

    Args:
        file: the checkpoint.
        keys: parts of it that may hold the weights.

    Raises:
        ConfigurationError: the file cannot be read, is damaged, asks for code to run, or holds anything but plain,
            finite tensors.
    """
    file = Path(file)
    content = read_content(file)
    for key in keys:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content:
        raise ConfigurationError(f"{file}: holds no network's weights (expected names with tensors)")
    size = file.stat().st_size
    return {_plain_name(name, file): _plain_tensor(name, value, file, size) for name, value in content.items()}


def compare(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> Mismatch:
    """Compare names, shapes and kinds of numbers; only the counters of batch norm may be missing."""
    common = expected.keys() & found.keys()
    described = {name: (_describe(expected[name]), _describe(found[name])) for name in sorted(common)}
    return Mismatch(
        missing={
            name: _describe(expected[name])
            for name in sorted(expected.keys() - found.keys())
            if not name.endswith(NORM_COUNTER)
        },
        unexpected={name: _describe(found[name]) for name in sorted(found.keys() - expected.keys())},
        reshaped={name: (ours, theirs) for name, (ours, theirs) in described.items() if ours != theirs},
    )


def load_weights(network: nn.Module, tensors: Mapping[str, Tensor], source: str | Path) -> None:
    """Copy tensors into a network that has exactly these names and shapes; counters that are missing start at 0.

    Raises:
        ConfigurationError: names or shapes differ; the message says how many and which one first.
    """
    expected = network.state_dict()
    mismatch = compare(expected, tensors)
    if mismatch.missing or mismatch.unexpected:
        parts = [f"{len(names)} {kind} (first: {next(iter(names))})" for kind, names in
                 (("missing", mismatch.missing), ("unknown", mismatch.unexpected)) if names]  # fmt: skip
        raise ConfigurationError(f"{source}: not weights of this network: {', '.join(parts)}")
    for name, (ours, theirs) in mismatch.reshaped.items():
        raise ConfigurationError(
            f"{source}: {name} is {theirs}, this network has {ours}; check width, classes and input channels"
        )
    counters = {name: torch.zeros_like(tensor) for name, tensor in expected.items() if name not in tensors}
    network.load_state_dict({**counters, **tensors})


def load_checkpoint(network: nn.Module, file: str | Path) -> None:
    """Load a file's weights into a network, strictly; errors as in `read_tensors` and `load_weights`."""
    load_weights(network, read_tensors(file), file)


def load_average(network: nn.Module, file: str | Path) -> None:
    """Load as `load_checkpoint`, and of a checkpoint of `perception train` the averaged weights, which it ships."""
    tensors = read_tensors(file, (AVERAGE_KEY, *WEIGHT_KEYS))
    tensors.pop(AVERAGE_COUNTER, None)
    load_weights(network, tensors, file)


def _plain_name(name: Any, file: Path) -> str:
    if not isinstance(name, str) or not name.isprintable():
        raise ConfigurationError(f"{file}: holds no network's weights ({name!r:.60} is no tensor's name)")
    return name.removeprefix(PARALLEL_PREFIX)


def _plain_tensor(name: str, value: Any, file: Path, file_size: int) -> Tensor:
    """A copy in memory of its own; refuses what no network of ours is made of, and what the file cannot hold."""
    if not isinstance(value, Tensor):
        raise ConfigurationError(f"{file}: holds no network's weights ({name} is a {type(value).__name__}, no tensor)")
    if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu" or value.is_complex():
        raise ConfigurationError(f"{file}: {name} is sparse, quantised, complex or without values; save plain tensors")
    if value.numel() * value.element_size() > file_size:
        raise ConfigurationError(f"{file}: damaged, {name} claims to be {list(value.shape)}, more than the file holds")
    if not value.is_floating_point():
        return value.detach().clone()
    plain = value.detach().to(torch.float32, copy=True)
    if not torch.isfinite(plain).all():
        raise ConfigurationError(f"{file}: {name} holds NaN or infinite values; no network works with these")
    return plain


def _describe(tensor: Tensor) -> str:
    """Shape, and the type of number where it is not the usual one."""
    shape = "x".join(map(str, tensor.shape)) or "scalar"
    return shape if tensor.dtype == torch.float32 else f"{shape} {str(tensor.dtype).removeprefix('torch.')}"
