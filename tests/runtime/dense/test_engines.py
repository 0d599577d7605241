"""From an ONNX file to a region on a GPU: precision, cache, sizes of a bundle; TensorRT and the GPU are stand-ins."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from perception.bundle.format import BundleDescription
from perception.bundle.graph import Spec
from perception.bundle.loading import Bundle
from perception.configuration import ConfigurationError
from perception.runtime.dense import build, engines, load_region
from perception.runtime.dense.build import build_only
from perception.runtime.dense.calibration import calibrate
from perception.runtime.dense.engine_cache import EngineCache
from perception.runtime.dense.engines import EngineOptions, describe_gpu, obtain_engine
from perception.runtime.dense.file_cache import FileCache
from perception.runtime.dense.onnx_runtime import OnnxRuntimeRegion
from perception.runtime.dense.settings import SETTINGS_VARIABLE, EngineSettings, SizeRange
from perception.runtime.dense.sizes import region_sizes
from perception.runtime.dense.tensorrt_module import TensorRt
from tests.runtime.dense.networks import convolution
from tests.runtime.dense.stand_in import Builder, DeviceArray, stand_in

GIB = 1 << 30


class Gpu:
    """A GPU that says what it is, and counts how often it was made current."""

    def __init__(self, name: str = "Orin", total_bytes: int = 16 * GIB - 5000) -> None:
        self.properties = SimpleNamespace(compute_capability=(8, 7), name=name, total_bytes=total_bytes)
        self.driver, self.made_current = self, 0

    def make_current(self) -> None:
        self.made_current += 1


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    gpu = Gpu()
    monkeypatch.setattr(engines, "open_device", {0: gpu}.__getitem__)
    return gpu


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that engines were built of."""
    built: list[str] = []
    real = engines.build_engine

    def count(tensorrt: TensorRt, network: bytes, path: Path, *rest: Any) -> Any:
        built.append(path.name)
        return real(tensorrt, network, path, *rest)

    monkeypatch.setattr(engines, "build_engine", count)
    return built


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[TensorRt], None]:
    """Install a TensorRT."""

    def install(tensorrt: TensorRt) -> None:
        monkeypatch.setattr(engines, "find_tensorrt", lambda: tensorrt)

    install(stand_in())
    return install


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return convolution(tmp_path / "net.onnx")[0]


@pytest.fixture
def options(tmp_path: Path) -> EngineOptions:
    cache = EngineCache(FileCache(tmp_path / "cache"))
    return EngineOptions(EngineSettings(sizes={"blocks": SizeRange(1, 4, 8)}), cache)


def with_settings(options: EngineOptions, **changes: Any) -> EngineOptions:
    return replace(options, settings=options.settings.model_copy(update=changes))


def batch(blocks: int = 2) -> np.ndarray:
    return np.random.default_rng(blocks).normal(size=(blocks, 3, 4, 4)).astype(np.float32)


pytestmark = pytest.mark.usefixtures("use")


def test_a_region_on_the_gpu(path: Path, options: EngineOptions, gpu: Gpu, builds: list[str]) -> None:
    for _ in range(2):
        region = load_region(path, "cuda", options=options)
        result = region.run({"features": DeviceArray(batch())})["result"]
        np.testing.assert_array_equal(result.values, load_region(path).run({"features": batch()})["result"])
        region.close()
    assert builds == ["net.onnx"]
    assert gpu.made_current == 2, "TensorRT works in the context of the thread"


def test_another_tensorrt_gpu_network_or_setting_builds_again(
    path: Path,
    options: EngineOptions,
    gpu: Gpu,
    builds: list[str],
    use: Callable[[TensorRt], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(changed: EngineOptions = options) -> int:
        load_region(path, "cuda", options=changed)
        return len(builds)

    assert load() == 1
    use(stand_in("10.7.0"))
    assert load() == 2
    assert load(with_settings(options, workspace_mib=64)) == 3
    assert load(with_settings(options, precision="fp16")) == 4
    assert load(with_settings(options, sizes={"blocks": SizeRange(1, 4, 9)})) == 5
    monkeypatch.setattr(engines, "open_device", {0: Gpu(total_bytes=8 * GIB)}.__getitem__)
    assert load() == 6
    convolution(path, scale=2.0)
    assert load() == 7
    use(stand_in())
    monkeypatch.setattr(engines, "open_device", {0: gpu}.__getitem__)
    convolution(path)
    assert load() == 7, "what was built first is still there"


def test_int8_takes_the_ranges_that_were_measured(
    path: Path, options: EngineOptions, builds: list[str], gpu: Gpu
) -> None:
    int8 = with_settings(options, precision="int8")
    with pytest.raises(ConfigurationError, match="int8 needs measured ranges"):
        load_region(path, "cuda", options=int8)
    table = calibrate(path, [{"features": batch()}], files=options.cache.files)
    result = load_region(path, "cuda", options=int8).run({"features": DeviceArray(batch())})["result"].values
    exact = OnnxRuntimeRegion(path).run({"features": batch()})["result"]
    assert 0 < np.abs(result - exact).max() < 0.05 * np.abs(exact).max()
    load_region(path, "cuda", options=int8)
    assert len(builds) == 1
    other = table.model_copy(update={"limits": {name: limit * 2 for name, limit in table.limits.items()}})
    load_region(path, "cuda", options=replace(int8, ranges=other))
    assert len(builds) == 2
    assert gpu.made_current == 4


def test_what_was_timed_serves_the_next_build(
    path: Path, options: EngineOptions, gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_region(path, "cuda", options=options)
    (times,) = options.cache.files.folder.glob("*.times")
    assert times.read_bytes() == b"timed"
    seen = []
    real = engines.build_engine

    def look(*arguments: Any) -> Any:
        seen.append(arguments[4])
        return real(*arguments)

    monkeypatch.setattr(engines, "build_engine", look)
    load_region(path, "cuda", options=with_settings(options, effort=1))
    assert seen == [b"timed"]
    assert gpu.made_current == 2


def test_an_engine_that_cannot_be_used_at_all_is_one_sentence(
    path: Path, options: EngineOptions, gpu: Gpu, use: Callable[[TensorRt], None]
) -> None:
    use(stand_in("10.3.0", Builder=type("Old", (Builder,), {"version": "9.0"})))
    with pytest.raises(ConfigurationError, match=r"net\.onnx: its engine cannot be used on sm_87 Orin 16 GiB: [^\n]+$"):
        load_region(path, "cuda", options=options)
    assert gpu.made_current == 1


@pytest.mark.parametrize(("device", "message"), [("tpu", "expected cpu, cuda"), ("cuda", "no NVIDIA driver|neither")])
def test_a_device_that_is_not_there_is_refused(path: Path, device: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_region(path, device)


def test_the_machine_says_how_engines_are_built(
    path: Path, options: EngineOptions, gpu: Gpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(engines, "obtain_engine", lambda *given: seen.append(given[4].settings))
    monkeypatch.delenv(SETTINGS_VARIABLE, raising=False)
    load_region(path, "cuda")
    file = tmp_path / "engines.yaml"
    monkeypatch.setenv(SETTINGS_VARIABLE, str(file))
    file.write_text("precision: fp16\nworkspace_mib: 512\nsizes: {blocks: [1, 2, 4]}\n")
    load_region(path, "cuda")
    load_region(path, "cuda", options=options)
    chosen = EngineSettings(precision="fp16", workspace_mib=512, sizes={"blocks": SizeRange(1, 2, 4)})
    assert seen == [EngineSettings(), chosen, options.settings]
    file.write_text("precision: fp8\n")
    with pytest.raises(ConfigurationError, match=r"engines\.yaml: precision: "):
        load_region(path, "cuda")
    assert gpu.made_current == 3


def test_engines_are_not_for_the_cpu() -> None:
    with pytest.raises(ConfigurationError, match="use cuda"):
        describe_gpu("cpu")


def test_contents_that_were_read_before_are_used(path: Path, tmp_path: Path) -> None:
    network = path.read_bytes()
    path.unlink()
    assert load_region(path, network=network).run({"features": batch()})["result"].shape == (2, 5, 4, 4)
    with pytest.raises(ConfigurationError, match=r"net\.onnx: not an ONNX file"):
        load_region(path, network=network[:50])


def description(**network: Any) -> BundleDescription:
    values = {"format": 1, "name": "tiny", "task": "segmentation", "engine": "native", "network": network}
    values |= {"classes": ["a", "b"], "colors": [[1, 2, 3], [4, 5, 6]], "voxel_size_m": 0.1, "license": "Apache-2.0"}
    return BundleDescription(**values, origin="a test", weights_sha256="0" * 64, capacity_voxels=1000)


PVCNN = {"model": "pvcnn", "width": 0.25, "blocks": {"size_m": 4.0, "height_m": (-2.0, 2.0), "points": 64}}


def bundle(folder: Path, network: dict[str, Any], *shape: int | str, files: tuple[str, ...] = ()) -> Bundle:
    """A bundle whose graph holds a value of that shape, and runs dense regions."""
    graph = SimpleNamespace(specs={"value": Spec(dtype="float32", shape=shape)}, regions=lambda: iter(files))
    contents = {file: (folder / file).read_bytes() for file in files}
    return Bundle(folder, description(**network), graph, {}, contents)  # type: ignore[arg-type]


def test_sizes_of_a_bundle(tmp_path: Path) -> None:
    pvcnn = bundle(tmp_path, PVCNN, "blocks", 7, "points")
    assert region_sizes(pvcnn) == {"blocks": SizeRange(1, 8, 8), "points": SizeRange(1, 64, 64)}
    spvcnn = bundle(tmp_path, {"model": "spvcnn", "width": 0.5}, "voxels/4", 32)
    assert region_sizes(spvcnn) == {"voxels/4": SizeRange(1, 250, 1000)}


def test_what_the_options_say_of_sizes_comes_first(
    path: Path, options: EngineOptions, gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(engines, "obtain_engine", lambda *given: seen.append(given[4].settings.sizes))
    load_region(path, "cuda", sizes={"blocks": SizeRange(1, 1, 1), "points": SizeRange(2, 2, 2)}, options=options)
    assert seen == [{"blocks": SizeRange(1, 4, 8), "points": SizeRange(2, 2, 2)}]
    assert gpu.made_current == 1


def test_all_engines_of_a_bundle_are_built_ahead(
    tmp_path: Path, options: EngineOptions, gpu: Gpu, builds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("dense_0", "dense_1"):
        convolution(tmp_path / f"{name}.onnx", scale=1 + (name == "dense_1"))
    made = bundle(tmp_path, PVCNN, "blocks", files=("dense_0.onnx", "dense_1.onnx", "dense_0.onnx"))
    monkeypatch.setattr(build, "load_bundle", lambda _: made)
    ahead = with_settings(options, sizes={})
    assert [region.file for region in build_only(tmp_path, options=ahead)] == ["dense_0.onnx", "dense_1.onnx"]
    assert builds == ["dense_0.onnx", "dense_1.onnx"]
    build_only(tmp_path, options=ahead)
    load_region(tmp_path / "dense_1.onnx", "cuda", sizes=region_sizes(made), options=ahead)
    assert len(builds) == 2
    assert gpu.made_current == 5


def test_the_real_one_builds_for_the_cache(path: Path, options: EngineOptions, tensorrt_rtx: TensorRt) -> None:
    for precision in ("exported", "fp16"):
        chosen = with_settings(options, precision=precision)
        network = path.read_bytes()
        first = obtain_engine(path, network, "sm_86", tensorrt_rtx, chosen, bytes)
        assert obtain_engine(path, network, "sm_86", tensorrt_rtx, chosen, bytes) == first
    assert len(list(options.cache.files.folder.glob("*.engine"))) == 2


CHILD = """
import sys, time
from pathlib import Path
from perception.runtime.dense.engine_cache import EngineCache
from perception.runtime.dense.engines import EngineOptions, obtain_engine
from perception.runtime.dense.file_cache import FileCache
from perception.runtime.dense.settings import EngineSettings, SizeRange
from perception.runtime.dense.tensorrt_module import TensorRt
from perception.runtime.dense.tensorrt_progress import BuildProgress
import tensorrt_rtx_bindings as api
path, cache = Path(sys.argv[1]), EngineCache(FileCache(Path(sys.argv[2])))
def wait(*_):
    (cache.files.folder / "begun").touch()
    time.sleep(60)
BuildProgress.step_complete = wait
options = EngineOptions(EngineSettings(sizes={"blocks": SizeRange(1, 4, 8)}), cache)
tensorrt = TensorRt(api, "tensorrt_rtx_bindings", str(api.__version__))
obtain_engine(path, path.read_bytes(), "sm_86", tensorrt, options, bytes)
"""


def test_a_process_killed_in_the_middle_of_a_real_build_harms_nobody(
    path: Path, options: EngineOptions, tensorrt_rtx: TensorRt, builds: list[str]
) -> None:
    folder = options.cache.files.folder
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path), str(folder)], env=environment)
    try:
        deadline_s = time.monotonic() + 60
        while not (folder / "begun").exists():
            assert child.poll() is None, "the build ended early"
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
    finally:
        child.kill()
        child.wait()
    assert not list(folder.glob("*.engine"))
    for _ in range(2):
        engine = obtain_engine(path, path.read_bytes(), "sm_86", tensorrt_rtx, options, bytes)
        assert len(engine) > 1000
    assert builds == ["net.onnx"]
