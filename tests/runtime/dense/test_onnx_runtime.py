"""Dense regions on the CPU: what ONNX Runtime computes, what is refused, and where results are written."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from perception.configuration import ConfigurationError
from perception.runtime.dense import DenseRegion, TensorSpec, load_region
from perception.runtime.dense.region import default_threads
from tests.runtime.dense.networks import convolution, two_by_two

FLOAT = np.dtype(np.float32)


def expected(weight: np.ndarray, features: np.ndarray) -> np.ndarray:
    return np.maximum(np.einsum("oc,bcyx->boyx", weight.astype(np.float64), features.astype(np.float64)), 0)


def features(blocks: int, dtype: type = np.float32) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(blocks, 3, 4, 4)).astype(dtype)


@pytest.fixture
def pair(tmp_path: Path) -> DenseRegion:
    return load_region(two_by_two(tmp_path / "pair.onnx"), "cpu", 1)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float16, 2e-3)])
@pytest.mark.parametrize("blocks", [0, 1, 7])
def test_a_convolution(tmp_path: Path, dtype: type, tolerance: float, blocks: int) -> None:
    path, weight = convolution(tmp_path / "net.onnx", dtype)
    region = load_region(path, "cpu", threads=2)
    values = features(blocks, dtype)
    (name, result), *others = region.run({"features": values}).items()
    assert (name, others, result.dtype) == ("result", [], dtype)
    np.testing.assert_allclose(result, expected(weight, values), atol=tolerance, rtol=tolerance)


def test_what_it_takes_and_gives_is_known(tmp_path: Path) -> None:
    region = load_region(convolution(tmp_path / "net.onnx")[0])
    assert region.inputs == {"features": TensorSpec(FLOAT, (None, 3, 4, 4))}
    assert region.outputs == {"result": TensorSpec(FLOAT, (None, 5, 4, 4))}


def test_arrays_are_matched_by_name(pair: DenseRegion) -> None:
    a, b = np.float32([[1, 2]]), np.float32([[3, 5]])
    results = pair.run({"b": b, "a": a})
    np.testing.assert_array_equal(results["sum"], a + b)
    np.testing.assert_array_equal(results["difference"], a - b)


def test_torch_tensors_are_taken(pair: DenseRegion) -> None:
    a = torch.ones(3, 2)
    np.testing.assert_array_equal(pair.run({"a": a, "b": a})["sum"], np.full((3, 2), 2))


@pytest.mark.parametrize("rows", [0, 4])
def test_results_are_written_where_the_caller_wants(pair: DenseRegion, rows: int) -> None:
    a, b = features(1).reshape(-1, 2)[:rows], np.ones((rows, 2), np.float32)
    wanted = np.full((rows, 2), np.nan, np.float32)
    results = pair.run({"a": a, "b": b}, {"difference": wanted})
    assert results["difference"] is wanted
    np.testing.assert_array_equal(wanted, a - b)
    np.testing.assert_array_equal(results["sum"], a + b)


def test_results_outlive_the_next_call(pair: DenseRegion) -> None:
    a = np.ones((2, 2), np.float32)
    first = pair.run({"a": a, "b": a})["sum"]
    pair.run({"a": a * 9, "b": a})
    np.testing.assert_array_equal(first, np.full((2, 2), 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b": None}, "input 'b' is missing"),
        ({"c": np.zeros((1, 2), np.float32)}, "input 'c' is unknown"),
        ({"a": np.zeros((1, 2))}, "a must be float32, found float64"),
        ({"a": np.zeros(2, np.float32)}, r"a must have the shape \[any, 2\], found \[2\]"),
        ({"a": np.zeros((1, 3), np.float32)}, r"a must have the shape \[any, 2\], found \[1, 3\]"),
        ({"a": np.zeros((2, 2), np.float32).T}, "a must be contiguous"),
        ({"a": [[1.0, 2.0]]}, "a must be a NumPy array"),
    ],
)
def test_wrong_inputs_are_refused(pair: DenseRegion, change: dict[str, object], message: str) -> None:
    inputs = {"a": np.zeros((1, 2), np.float32), "b": np.zeros((1, 2), np.float32)} | change
    with pytest.raises(ValueError, match=message):
        pair.run({name: array for name, array in inputs.items() if array is not None})


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ({"other": np.zeros((1, 2), np.float32)}, "'other' is unknown"),
        ({"sum": np.zeros((1, 2))}, "sum must be float32"),
    ],
)
def test_wrong_outputs_are_refused(pair: DenseRegion, out: dict[str, np.ndarray], message: str) -> None:
    a = np.zeros((1, 2), np.float32)
    with pytest.raises(ValueError, match=message):
        pair.run({"a": a, "b": a}, out)


@pytest.mark.parametrize("rows", [1, 3])
def test_an_output_of_the_wrong_size_is_refused(pair: DenseRegion, rows: int) -> None:
    a = np.zeros((2, 2), np.float32)
    with pytest.raises(RuntimeError, match=r"pair\.onnx: "):
        pair.run({"a": a, "b": a}, {"sum": np.zeros((rows, 2), np.float32)})


def test_inputs_that_do_not_fit_each_other_are_refused(pair: DenseRegion) -> None:
    with pytest.raises(RuntimeError, match=r"pair\.onnx: .+[^.]$"):
        pair.run({"a": np.zeros((2, 2), np.float32), "b": np.zeros((3, 2), np.float32)})


@pytest.mark.parametrize("content", [b"", b"not a network", None], ids=["empty", "noise", "cut"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path, _ = convolution(tmp_path / "net.onnx")
    path.write_bytes(path.read_bytes()[:100] if content is None else content)
    with pytest.raises(ConfigurationError, match=r"net\.onnx: [^\n]+$"):
        load_region(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.onnx: cannot be read \(No such file"):
        load_region(tmp_path / "none.onnx")


def test_a_machine_without_onnx_runtime_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = convolution(tmp_path / "net.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigurationError, match="pip install onnxruntime"):
        load_region(path)


def test_an_unknown_device_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="device 'tpu'"):
        load_region(convolution(tmp_path / "net.onnx")[0], "tpu")


@pytest.mark.parametrize(("setting", "threads"), [("3", 3), ("2,1", 2), ("", None), ("0", None), ("many", None)])
def test_threads_follow_openmp(monkeypatch: pytest.MonkeyPatch, setting: str, threads: int | None) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", setting)
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: set(range(5)))
    assert default_threads() == (threads or 5)
