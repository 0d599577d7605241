"""Where and with what golden cases are run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from perception.configuration import ConfigurationError
from perception.nn import pillar_backends
from perception.nn.backends import NATIVE, REFERENCE, Backend
from perception.nn.pillar_backends import PillarBackend
from perception.nn.tables import FrameTables


@dataclass(frozen=True)
class Execution:
    """A backend on a device.

    Attributes:
        backend: of the sparse layers.
        pillars: of the layers of pillar networks.
        device: where all arrays lie.
    """

    backend: Backend
    pillars: PillarBackend
    device: str

    def tensor(self, array: NDArray[Any]) -> Tensor:
        """Put an array on the device."""
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def tables(self, coords: NDArray[np.int32]) -> FrameTables:
        """Start the tables of a frame."""
        return FrameTables(self.tensor(coords), self.backend)


EXECUTIONS: dict[str, Callable[[], Execution]] = {
    "reference": lambda: Execution(REFERENCE, pillar_backends.REFERENCE, "cpu"),
    "cpu": lambda: Execution(NATIVE, pillar_backends.NATIVE, "cpu"),
    "cuda": lambda: Execution(NATIVE, pillar_backends.NATIVE, _gpu()),
}


def to_numpy(value: Any) -> NDArray[Any]:
    """Bring a tensor or array to the CPU."""
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)


def _gpu() -> str:
    if not torch.cuda.is_available():
        raise ConfigurationError("--backend cuda: PyTorch finds no NVIDIA GPU here; use cpu or reference")
    return "cuda:0"
