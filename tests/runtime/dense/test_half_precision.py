"""Networks in half precision, for TensorRTs that take types from the file."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from perception.configuration import ConfigurationError
from perception.runtime.dense.half_precision import convert_to_half
from perception.runtime.dense.onnx_runtime import OnnxRuntimeRegion
from tests.bundle.block_graphs import write_block_network
from tests.runtime.dense.networks import convolution


def test_little_is_lost_and_the_outside_stays(tmp_path: Path) -> None:
    bundle = write_block_network(tmp_path / "bundle")
    rng = np.random.default_rng(0)
    for path in sorted(bundle.glob("*.onnx")):
        exact = OnnxRuntimeRegion(path)
        half = OnnxRuntimeRegion(path, network=convert_to_half(path.read_bytes()))
        assert (half.inputs, half.outputs) == (exact.inputs, exact.outputs)
        shapes = {name: [size or (2 if axis == 0 else 50) for axis, size in enumerate(spec.shape)]
                  for name, spec in exact.inputs.items()}  # fmt: skip
        given = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
        (wanted,), (found,) = exact.run(given).values(), half.run(given).values()
        error = np.abs(found - wanted).max() / np.abs(wanted).max()
        assert 1e-6 < error < 1e-2, f"{path.name}: {error}"


def test_weights_take_half_the_space(tmp_path: Path) -> None:
    path, _ = convolution(tmp_path / "net.onnx")
    weights = onnx.load_from_string(convert_to_half(path.read_bytes())).graph.initializer
    assert [tensor.data_type for tensor in weights] == [onnx.TensorProto.FLOAT16]


@pytest.mark.parametrize("package", ["onnx", "onnxruntime.transformers.float16"])
def test_a_machine_without_the_packages_is_told_so(
    tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = convolution(tmp_path / "net.onnx")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError, match=r"fp16 needs .*; type: pip install onnx"):
        convert_to_half(path.read_bytes())
