"""Calibration and int8: measured ranges, cached tables, and networks that lose little and build with TensorRT."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from perception.configuration import ConfigurationError
from perception.runtime.dense import calibration
from perception.runtime.dense.bundle_calibration import calibrate_bundle
from perception.runtime.dense.calibration import RecordingRegion, calibrate
from perception.runtime.dense.file_cache import FileCache
from perception.runtime.dense.onnx_runtime import OnnxRuntimeRegion
from perception.runtime.dense.quantization import quantize, quantize_weight
from perception.runtime.dense.ranges import METHODS, SUFFIX, Method, RangeTable, find_table, read_table
from perception.runtime.dense.settings import EngineSettings, SizeRange
from perception.runtime.dense.tensorrt_build import build_engine
from perception.runtime.dense.tensorrt_module import TensorRt
from tests.bundle.block_graphs import write_block_network
from tests.bundle.graphs import write_unet
from tests.runtime.dense.networks import convolution, save, two_by_two

#: Root mean square of the error that int8 may make, of that of the values: 127 steps each, over four layers.
TOLERANCE = 0.03


def random_weight(*shape: int, fan_in: int) -> np.ndarray:
    return (np.random.default_rng(sum(shape)).normal(size=shape) / np.sqrt(fan_in)).astype(np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A convolution over a grid, a residual one, a transposed one and a matrix product, with activations between."""
    make = helper.make_node
    nodes = [
        make("Conv", ["volume", "w1", "b1"], ["c1"], pads=[1] * 6),
        make("LeakyRelu", ["c1"], ["r1"], alpha=0.1),
        make("Conv", ["r1", "w2"], ["c2"], pads=[1] * 6),
        make("Add", ["c2", "r1"], ["sum"]),
        make("Relu", ["sum"], ["r2"]),
        make("Conv", ["r1", "w3"], ["c3"]),
        make("Add", ["r2", "c3"], ["r3"]),
        make("ConvTranspose", ["r3", "w4"], ["up"], strides=[2, 2, 2]),
        make("GlobalAveragePool", ["up"], ["mean"]),
        make("Flatten", ["mean"], ["flat"]),
        make("Gemm", ["flat", "w5", "b5"], ["scores"], transB=1),
    ]
    weights = {
        "w1": random_weight(16, 8, 3, 3, 3, fan_in=216),
        "b1": random_weight(16, fan_in=8),
        "w2": random_weight(16, 16, 3, 3, 3, fan_in=432),
        "w3": random_weight(16, 16, 1, 1, 1, fan_in=16),
        "w4": random_weight(16, 12, 2, 2, 2, fan_in=16),
        "w5": random_weight(5, 12, fan_in=12),
        "b5": random_weight(5, fan_in=1),
    }
    outputs = [("scores", np.float32, ["blocks", 5]), ("up", np.float32, ["blocks", 12, 12, 12, 12])]
    return save(tmp_path / "net.onnx", nodes, [("volume", np.float32, ["blocks", 8, 6, 6, 6])], outputs, weights)


def volumes(count: int, seed: int = 0) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [{"volume": rng.normal(size=(2, 8, 6, 6, 6)).astype(np.float32)} for _ in range(count)]


@pytest.fixture
def files(tmp_path: Path) -> FileCache:
    return FileCache(tmp_path / "cache")


def run_int8(path: Path, table: RangeTable, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    network = quantize(path.read_bytes(), table, path)
    onnx.checker.check_model(onnx.load_from_string(network), full_check=True)
    return OnnxRuntimeRegion(path, network=network).run(batch)


def relative_error(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.sqrt(np.mean((found - exact) ** 2) / np.mean(exact**2)))


@pytest.mark.parametrize("method", METHODS)
def test_int8_loses_little(path: Path, files: FileCache, method: Method) -> None:
    table = calibrate(path, volumes(4), method, files=files)
    (batch,) = volumes(1, seed=9)
    exact, found = OnnxRuntimeRegion(path).run(batch), run_int8(path, table, batch)
    assert {name: array.dtype for name, array in found.items()} == {name: array.dtype for name, array in exact.items()}
    for name in exact:
        error = relative_error(found[name], exact[name])
        assert 1e-4 < error < TOLERANCE, f"{name}: {error}"


def test_ranges_that_are_too_small_lose_much(path: Path, files: FileCache) -> None:
    table = calibrate(path, volumes(4), "maximum", files=files)
    small = table.model_copy(update={"limits": {name: limit / 10 for name, limit in table.limits.items()}})
    (batch,) = volumes(1, seed=9)
    assert relative_error(run_int8(path, small, batch)["up"], OnnxRuntimeRegion(path).run(batch)["up"]) > 10 * TOLERANCE


def test_what_is_quantised(path: Path, files: FileCache) -> None:
    table = calibrate(path, volumes(1), files=files)
    assert set(table.limits) == {"volume", "r1", "r3", "flat"}
    graph = onnx.load_from_string(quantize(path.read_bytes(), table, path)).graph
    count = Counter(node.op_type for node in graph.node)
    # Four activations, of which one feeds two layers; five weights, which are stored in int8.
    assert (count["QuantizeLinear"], count["DequantizeLinear"]) == (4, 9)
    large = [tensor.name for tensor in graph.initializer if numpy_helper.to_array(tensor).dtype == np.float32]
    assert not {"w1", "w2", "w3", "w4", "w5"} & set(large)
    assert {"b1", "b5"} <= set(large)


def test_maximum_is_the_largest_magnitude(path: Path, files: FileCache) -> None:
    data = volumes(3)
    limit = calibrate(path, data, "maximum", files=files).limits["volume"]
    assert limit >= max(np.abs(batch["volume"]).max() for batch in data) * (1 - 1e-6)
    assert limit <= max(np.abs(batch["volume"]).max() for batch in data) * 2


@pytest.mark.parametrize("axis", [0, 1, None])
def test_weights_are_rounded_to_the_nearest_step(axis: int | None) -> None:
    weight = random_weight(6, 5, 3, fan_in=1)
    weight[0, 0] = 0
    rounded, scales = quantize_weight(weight, axis)
    spread = scales if axis is None else np.expand_dims(scales, tuple(other for other in range(3) if other != axis))
    assert scales.shape == (() if axis is None else (weight.shape[axis],))
    assert np.all(np.abs(rounded * spread - weight) <= spread * 0.5001)
    assert np.abs(rounded.astype(int)).max() == 127


def test_a_channel_of_zeros_stays_zero() -> None:
    rounded, scales = quantize_weight(np.zeros((2, 3), np.float32), 0)
    assert not rounded.any()
    assert np.all(scales > 0)


def test_a_table_is_measured_once(path: Path, files: FileCache, monkeypatch: pytest.MonkeyPatch) -> None:
    data = volumes(2)
    first = calibrate(path, data, files=files)
    monkeypatch.setattr(calibration, "_measure", lambda *_: pytest.fail("measured again"))
    assert calibrate(path, data, files=files) == first
    assert find_table(path, path.read_bytes(), files) == first


def test_a_damaged_table_is_measured_again(path: Path, files: FileCache, caplog: pytest.LogCaptureFixture) -> None:
    data = volumes(2)
    first = calibrate(path, data, files=files)
    (kept,) = files.folder.glob(f"*{SUFFIX}")
    for content in (kept.read_bytes()[:50], b"{}", kept.read_bytes().replace(b'"limits"', b'"limit"')):
        kept.write_bytes(content)
        assert calibrate(path, data, files=files) == first
    assert "calibrate again" in caplog.text


def test_other_data_networks_and_methods_have_other_tables(path: Path, files: FileCache, tmp_path: Path) -> None:
    calibrate(path, volumes(1), files=files)
    calibrate(path, volumes(1, seed=1), files=files)
    calibrate(path, volumes(1), "percentile", 99.0, files=files)
    calibrate(path, volumes(1), "percentile", 99.9, files=files)
    calibrate(convolution(tmp_path / "other.onnx")[0], [{"features": np.ones((1, 3, 4, 4), np.float32)}], files=files)
    assert len(list(files.folder.glob(f"*{SUFFIX}"))) == 5


def test_the_table_beside_the_network_comes_first(path: Path, files: FileCache) -> None:
    calibrate(path, volumes(1), files=files)
    shipped = calibrate(path, volumes(1), "maximum", files=files)
    later = calibrate(path, volumes(1), "percentile", 50.0, files=files)
    assert find_table(path, path.read_bytes(), files) in (later, shipped)
    path.with_name(path.stem + SUFFIX).write_bytes(shipped.to_json())
    assert find_table(path, path.read_bytes(), files) == shipped


def test_a_table_of_another_network_is_refused(path: Path, files: FileCache, tmp_path: Path) -> None:
    table = calibrate(path, volumes(1), files=files)
    other, _ = convolution(tmp_path / "other.onnx")
    with pytest.raises(ConfigurationError, match=r"other\.onnx: int8 needs measured ranges"):
        find_table(other, other.read_bytes(), files)
    other.with_name(other.stem + SUFFIX).write_bytes(table.to_json())
    with pytest.raises(ConfigurationError, match="was measured with another network"):
        find_table(other, other.read_bytes(), files)


@pytest.mark.parametrize("limit", ["-1", "0", "NaN", "Infinity", '"wide"'])
def test_absurd_ranges_are_refused(limit: str) -> None:
    content = '{"network_sha256": "a", "method": "entropy", "data_sha256": "b", "limits": {"x": LIMIT}}'
    with pytest.raises(ConfigurationError, match=r"table: limits\.x"):
        read_table(content.replace("LIMIT", limit).encode(), "table", "a")


def test_a_table_that_lacks_a_range_is_refused(path: Path, files: FileCache) -> None:
    table = calibrate(path, volumes(1), files=files)
    fewer = table.model_copy(update={"limits": {"volume": 1.0}})
    with pytest.raises(ConfigurationError, match="lacks 'flat'"):
        quantize(path.read_bytes(), fewer, path)


def test_a_network_without_layers_for_int8_is_refused(tmp_path: Path, files: FileCache) -> None:
    row = np.ones((1, 2), np.float32)
    with pytest.raises(ConfigurationError, match=r"pair\.onnx: holds no float32 convolution"):
        calibrate(two_by_two(tmp_path / "pair.onnx"), [{"a": row, "b": row}], files=files)
    half, _ = convolution(tmp_path / "half.onnx", np.float16)
    with pytest.raises(ConfigurationError, match=r"half\.onnx: holds no float32 convolution"):
        calibrate(half, [{"features": np.ones((1, 3, 4, 4), np.float16)}], files=files)


def test_nothing_to_calibrate_with_is_refused(path: Path, files: FileCache) -> None:
    with pytest.raises(ConfigurationError, match="at least one frame"):
        calibrate(path, [], files=files)


def test_a_machine_without_onnx_is_told_so(path: Path, files: FileCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigurationError, match="pip install onnx"):
        calibrate(path, volumes(1), files=files)


def test_calls_are_recorded_evenly_within_a_limit(path: Path) -> None:
    (batch,) = volumes(1)
    size = batch["volume"].nbytes
    exact = OnnxRuntimeRegion(path)
    region = RecordingRegion(exact, limit_bytes=4 * size)
    for call in range(11):
        batch["volume"][...] = call  # the executor reuses its memory
        np.testing.assert_array_equal(region.run(batch)["scores"], exact.run(batch)["scores"])
    assert [kept["volume"].flat[0] for kept in region.batches] == [0, 4, 8]
    assert calibrate(path, region.batches, "maximum", files=FileCache(path.parent / "cache")).limits["volume"] == 8
    region.close()


def test_one_call_is_always_recorded(path: Path) -> None:
    region = RecordingRegion(OnnxRuntimeRegion(path), limit_bytes=1)
    for batch in volumes(3):
        region.run(batch)
    assert len(region.batches) == 1


def test_a_bundle_is_calibrated_where_it_runs(tmp_path: Path, files: FileCache) -> None:
    bundle = write_block_network(tmp_path / "bundle")
    clouds = [np.random.default_rng(seed).uniform(-9, 9, (500, 4)).astype(np.float32) for seed in range(3)]
    tables = calibrate_bundle(bundle, clouds, files=files, threads=1)
    assert {file: set(table.limits) for file, table in tables.items()} == {
        "points.onnx": {"points"},
        "volume.onnx": {"volume"},
        "classifier.onnx": {"sum"},
    }
    for file, table in tables.items():
        assert find_table(bundle / file, (bundle / file).read_bytes(), files) == table
    # Heights and intensities of uniform points within 9 m, as a block sees them, are known: none is far beyond 9.
    assert 0.5 < tables["points.onnx"].limits["points"] < 10
    with pytest.raises(ConfigurationError, match="at least one frame"):
        calibrate_bundle(bundle, [], files=files)


def test_a_bundle_without_dense_regions_is_refused(tmp_path: Path, files: FileCache) -> None:
    with pytest.raises(ConfigurationError, match="no dense region that could run in int8"):
        calibrate_bundle(write_unet(tmp_path / "bundle"), [], files=files)


@pytest.mark.parametrize(("op", "group"), list(itertools.product(["Conv", "ConvTranspose"], [1, 2])))
def test_groups_are_quantised_right(tmp_path: Path, files: FileCache, op: str, group: int) -> None:
    shape = (4, 6 // group, 3, 3) if op == "ConvTranspose" else (6, 4 // group, 3, 3)
    weight = random_weight(*shape, fan_in=36) * np.geomspace(1, 100, shape[1])[None, :, None, None].astype(np.float32)
    nodes = [helper.make_node(op, ["x", "w"], ["y"], group=group)]
    size = 10 if op == "ConvTranspose" else 6
    values = [("x", np.float32, [1, 4, 8, 8])], [("y", np.float32, [1, 6, size, size])]
    path = save(tmp_path / "net.onnx", nodes, *values, {"w": weight})
    batch = {"x": np.random.default_rng(0).normal(size=(1, 4, 8, 8)).astype(np.float32)}
    table = calibrate(path, [batch], "maximum", files=files)
    assert relative_error(run_int8(path, table, batch)["y"], OnnxRuntimeRegion(path).run(batch)["y"]) < TOLERANCE


def test_tensorrt_builds_it(path: Path, files: FileCache, tensorrt_rtx: TensorRt) -> None:
    table = calibrate(path, volumes(1), files=files)
    settings = EngineSettings(precision="int8", sizes={"blocks": SizeRange(1, 2, 4)})
    built = build_engine(tensorrt_rtx, quantize(path.read_bytes(), table, path), path, settings)
    assert built.skipped == ()
    assert len(built.engine) > 1000
