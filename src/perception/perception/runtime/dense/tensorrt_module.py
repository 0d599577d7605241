"""The one place that imports TensorRT, and what the installed one can do.

Two modules serve: `tensorrt` (JetPack, CUDA machines; 8.6 to 11) and `tensorrt_rtx_bindings` (TensorRT for RTX, which
builds engines on machines without a GPU). Their Python API is the same where it is used here, but for what
`TensorRt.lacks` tells.
"""

from __future__ import annotations

import importlib
import logging
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from perception.configuration import ConfigurationError

MODULES = ("tensorrt", "tensorrt_rtx_bindings", "tensorrt_rtx")
#: From here on dimensions keep their names, and engines tell the names of their inputs.
OLDEST = (8, 6)
Capability = Literal["precision flags", "timing cache", "DLA", "progress"]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TensorRt:
    """An installed TensorRT.

    Attributes:
        api: the module.
        name: of the module.
        version: as it says itself.
    """

    api: Any
    name: str
    version: str

    @property
    def is_rtx(self) -> bool:
        """Whether it is TensorRT for RTX, whose engines are finished on the GPU when they are loaded."""
        return "rtx" in self.name

    def lacks(self, capability: Capability) -> str | None:
        """Tell why it cannot do something; None if it can."""
        if capability == "precision flags":
            has = hasattr(self.api.BuilderFlag, "FP16")
            return None if has else f"{self} computes in the types of the ONNX file only"
        if capability == "timing cache":
            return f"{self} times nothing while it builds" if self.is_rtx else None
        if capability == "DLA":
            return f"{self} runs on GPUs only" if self.is_rtx else None
        has = hasattr(self.api, "IProgressMonitor")
        return None if has else f"{self} reports no progress and cannot be stopped"

    def network_flags(self, typed_by_file: bool) -> int:
        """Say how a network is made: with the batch among its axes, with the types of the ONNX file or free ones."""
        flags = getattr(self.api, "NetworkDefinitionCreationFlag", None)
        members = dict(getattr(flags, "__members__", {}))
        wanted = ["EXPLICIT_BATCH"] + ["STRONGLY_TYPED"] * typed_by_file
        return sum(1 << int(members[name]) for name in wanted if name in members)

    def numbers(self) -> tuple[int, ...]:
        """Give the version as numbers, as far as they go: (10, 3)."""
        return tuple(int(part) for part in self.version.split(".")[:2] if part.isdigit())

    def __str__(self) -> str:
        return f"{'TensorRT-RTX' if self.is_rtx else 'TensorRT'} {self.version}"


@lru_cache(maxsize=1)
def find_tensorrt() -> TensorRt:
    """Import the TensorRT that is installed.

    Raises:
        ConfigurationError: there is none.
    """
    for name in MODULES:
        try:
            api = importlib.import_module(name)
        except ImportError:
            continue
        found = TensorRt(api, name, str(api.__version__))
        if not found.is_rtx and found.numbers() < OLDEST:
            raise ConfigurationError(f"device 'cuda': {found} is too old for dense regions; install 8.6 or later")
        return found
    raise ConfigurationError(
        "device 'cuda': dense regions need TensorRT, which comes with JetPack; elsewhere type: pip install tensorrt"
    )


def make_logger(api: Any) -> Any:
    """Make a logger for TensorRT that passes on to `logging` what matters, and remembers errors in `errors`."""
    severity = api.ILogger.Severity
    levels = {severity.WARNING: logging.DEBUG, severity.INFO: logging.DEBUG}

    class Messages(api.ILogger):
        def __init__(self) -> None:
            api.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, kind: Any, message: str) -> None:
            if kind in (severity.ERROR, severity.INTERNAL_ERROR):
                self.errors.append(message)
            logger.log(levels.get(kind, 5), "%s", message)

        def last_error(self) -> str:
            """What TensorRT complained about last, in one line."""
            return " ".join(self.errors[-1].split()) if self.errors else "it does not say why"

    return Messages()
