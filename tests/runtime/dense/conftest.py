"""Fixtures for the tests of dense regions."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from perception.runtime.dense.tensorrt_module import TensorRt


@pytest.fixture(scope="session")
def tensorrt_rtx(top: Path) -> TensorRt:
    """The real TensorRT for RTX, which builds engines without a GPU; `make onnx-check` installs it."""
    folder = top / "build" / "tensorrt_rtx"
    if folder.is_dir() and str(folder) not in sys.path:
        sys.path.append(str(folder))
    api = pytest.importorskip("tensorrt_rtx_bindings", reason="needs TensorRT for RTX: make onnx-check")
    return TensorRt(api, "tensorrt_rtx_bindings", str(api.__version__))
