"""Dense regions on a GPU, with a stand-in for TensorRT: shapes, addresses, streams, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception.configuration import ConfigurationError
from perception.runtime.dense import tensorrt_module
from perception.runtime.dense.engine_cache import EngineLoadError
from perception.runtime.dense.onnx_runtime import OnnxRuntimeRegion
from perception.runtime.dense.region import DenseRegion, TensorSpec
from perception.runtime.dense.settings import EngineSettings, SizeRange
from perception.runtime.dense.tensorrt_build import build_engine
from perception.runtime.dense.tensorrt_module import TensorRt, find_tensorrt
from perception.runtime.dense.tensorrt_region import TensorRtRegion
from tests.runtime.dense.networks import convolution, two_by_two
from tests.runtime.dense.stand_in import DeviceArray, stand_in

STREAM = 4711


def load(path: Path, **sizes: tuple[int, int, int]) -> TensorRtRegion:
    settings = EngineSettings(sizes={name: SizeRange(*size) for name, size in sizes.items()})
    return TensorRtRegion(stand_in(), build_engine(stand_in(), path.read_bytes(), path, settings).engine, path.name)


def on_gpu(*shape: int, dtype: Any = np.float32, seed: int = 1) -> DeviceArray:
    return DeviceArray(np.random.default_rng(seed).normal(size=shape).astype(dtype), STREAM)


@pytest.fixture
def pair(tmp_path: Path) -> DenseRegion:
    return load(two_by_two(tmp_path / "pair.onnx"), rows=(1, 4, 8))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_it_computes_what_the_cpu_computes(tmp_path: Path, dtype: Any) -> None:
    path, _ = convolution(tmp_path / "net.onnx", dtype)
    region, on_cpu = load(path, blocks=(1, 4, 16)), OnnxRuntimeRegion(path)
    assert (region.inputs, region.outputs) == (on_cpu.inputs, on_cpu.outputs)
    for blocks in (3, 16, 1):
        features = on_gpu(blocks, 3, 4, 4, dtype=dtype, seed=blocks)
        (result,) = region.run({"features": features}).values()
        assert isinstance(result, DeviceArray)
        np.testing.assert_array_equal(result.values, on_cpu.run({"features": features.values})["result"])


def test_it_works_on_the_stream_of_its_inputs(pair: DenseRegion) -> None:
    pair.run({"a": on_gpu(2, 2), "b": on_gpu(2, 2)})
    pair.run({"a": DeviceArray(np.zeros((2, 2), np.float32)), "b": DeviceArray(np.zeros((2, 2), np.float32))})
    assert pair._context.streams == [STREAM, 0]  # type: ignore[attr-defined]


def test_results_are_written_where_the_caller_wants(pair: DenseRegion) -> None:
    a, b, wanted = on_gpu(3, 2), on_gpu(3, 2, seed=2), on_gpu(3, 2)
    results = pair.run({"a": a, "b": b}, {"difference": wanted})
    assert results["difference"] is wanted
    np.testing.assert_array_equal(wanted.values, a.values - b.values)
    np.testing.assert_array_equal(results["sum"].values, a.values + b.values)


def test_an_output_of_the_wrong_size_is_refused(pair: DenseRegion) -> None:
    with pytest.raises(ValueError, match=r"sum must have the shape \[2, 2\], found \[3, 2\]"):
        pair.run({"a": on_gpu(2, 2), "b": on_gpu(2, 2)}, {"sum": on_gpu(3, 2)})


def test_nothing_gives_nothing(tmp_path: Path) -> None:
    path, _ = convolution(tmp_path / "net.onnx", np.float16)
    region = load(path, blocks=(1, 4, 16))
    result = region.run({"features": on_gpu(0, 3, 4, 4, dtype=np.float16)})["result"]
    assert (result.shape, result.dtype) == ((0, 5, 4, 4), np.float16)
    assert region._context.streams == []


@pytest.mark.parametrize("rows", [1, 9])
def test_more_or_less_than_the_engine_was_built_for_is_refused(tmp_path: Path, rows: int) -> None:
    region = load(two_by_two(tmp_path / "pair.onnx"), rows=(2, 4, 8))
    with pytest.raises(ValueError, match=rf"pair\.onnx: 'a' has the size {rows} along axis 0, .* built for 2 to 8"):
        region.run({"a": on_gpu(rows, 2), "b": on_gpu(rows, 2)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b": None}, "input 'b' is missing"),
        ({"c": on_gpu(1, 2)}, "input 'c' is unknown"),
        ({"a": on_gpu(1, 2, dtype=np.float64)}, "a must be float32"),
        ({"a": on_gpu(1, 3)}, r"a must have the shape \[any, 2\]"),
        ({"a": DeviceArray(np.zeros((2, 2), np.float32).T)}, "a must be contiguous"),
        ({"a": np.zeros((1, 2), np.float32)}, "the arrays lie on the CPU and GPU 0"),
        ({name: np.zeros((1, 2), np.float32) for name in "ab"}, "the arrays lie on the CPU"),
    ],
)
def test_wrong_inputs_are_refused(pair: DenseRegion, change: dict[str, Any], message: str) -> None:
    inputs = {"a": on_gpu(1, 2), "b": on_gpu(1, 2)} | change
    with pytest.raises(ValueError, match=message):
        pair.run({name: array for name, array in inputs.items() if array is not None})


def test_a_failed_execution_is_an_error(pair: DenseRegion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair._context, "execute_async_v3", lambda _: False)  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match=r"pair\.onnx: "):
        pair.run({"a": on_gpu(1, 2), "b": on_gpu(1, 2)})


@pytest.mark.parametrize("engine", [b"", b"noise", json.dumps({"version": "10.9.0"}).encode()])
def test_an_engine_that_cannot_be_loaded_is_an_error(engine: bytes) -> None:
    with pytest.raises(EngineLoadError, match=r"cannot load it \(the engine was made by another version\)"):
        TensorRtRegion(stand_in(), engine, "net.onnx")


def test_an_engine_without_memory_for_its_context_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.runtime.dense.stand_in.Engine.create_execution_context", lambda _: None)
    with pytest.raises(EngineLoadError, match="it does not say why"):
        load(two_by_two(tmp_path / "pair.onnx"), rows=(1, 4, 8))


def test_old_versions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_module.importlib, "import_module", lambda _: stand_in("8.5.2").api)
    find_tensorrt.cache_clear()
    with pytest.raises(ConfigurationError, match=r"TensorRT 8\.5\.2 is too old"):
        find_tensorrt()


def test_specs_are_known(pair: DenseRegion) -> None:
    assert dict(pair.inputs) == {name: TensorSpec(np.dtype(np.float32), (None, 2)) for name in "ab"}


def test_the_real_one_refuses_an_engine_where_there_is_no_gpu(tensorrt_rtx: TensorRt, tmp_path: Path) -> None:
    path = two_by_two(tmp_path / "pair.onnx")
    settings = EngineSettings(sizes={"rows": SizeRange(1, 2, 3)})
    engine = build_engine(tensorrt_rtx, path.read_bytes(), path, settings).engine
    with pytest.raises(EngineLoadError, match=r"^TensorRT cannot load it \([^\n]+\)$"):
        TensorRtRegion(tensorrt_rtx, engine[:100], path.name)
