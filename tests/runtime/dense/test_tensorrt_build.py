"""Building engines: what is asked of TensorRT, what is skipped and why, what is refused; also with the real one."""

from __future__ import annotations

import base64
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from perception.configuration import ConfigurationError
from perception.runtime.dense import tensorrt_module
from perception.runtime.dense.settings import SIZES_KEY, EngineSettings, SizeRange
from perception.runtime.dense.tensorrt_build import (
    BuildStoppedError,
    BuiltEngine,
    build_engine,
    unsupported_operations,
)
from perception.runtime.dense.tensorrt_module import TensorRt, find_tensorrt
from perception.runtime.dense.tensorrt_progress import BuildProgress
from tests.runtime.dense.networks import convolution, save
from tests.runtime.dense.stand_in import stand_in

FIXED = {"blocks": SizeRange(4, 4, 4)}
SIZES = {"blocks": SizeRange(1, 4, 16)}
STRICT = SimpleNamespace(GPU_FALLBACK="GPU_FALLBACK")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return convolution(tmp_path / "net.onnx")[0]


def build(tensorrt: TensorRt, path: Path, **settings: Any) -> BuiltEngine:
    return build_engine(tensorrt, path.read_bytes(), path, EngineSettings(**{"sizes": SIZES, **settings}))


def facts(tensorrt: TensorRt, path: Path, **settings: Any) -> Any:
    return json.loads(build(tensorrt, path, **settings).engine)


def odd_network(path: Path) -> Path:
    """A network with operations that no TensorRT parses."""
    nodes = [helper.make_node("Det", ["x"], ["y"], name="first"), helper.make_node("Det", ["x"], ["z"], name="second")]
    outputs = [("y", np.float32, [4]), ("z", np.float32, [4])]
    return save(path, nodes, [("x", np.float32, [4, 3, 3])], outputs, {})


def test_every_named_size_has_its_range(path: Path) -> None:
    shapes = [[blocks, 3, 4, 4] for blocks in SIZES["blocks"]]
    assert facts(stand_in(), path)["profiles"] == [{"features": shapes}]


def test_sizes_may_come_with_the_file_and_settings_win(path: Path) -> None:
    model = onnx.load(path)
    helper.set_model_props(model, {SIZES_KEY: json.dumps({"blocks": [2, 3, 5]})})
    path.write_bytes(model.SerializeToString())
    assert facts(stand_in(), path, sizes={})["profiles"][0]["features"][2][0] == 5
    assert facts(stand_in(), path)["profiles"][0]["features"][2][0] == 16


def test_a_size_without_range_is_refused(path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"net\.onnx: axis 0 of 'features' .* range of 'blocks' in sizes$"):
        build(stand_in(), path, sizes={})


@pytest.mark.parametrize("sizes", [[0, 1, 2], [1, 3, 2], [1, 2]])
def test_ranges_are_checked(sizes: list[int]) -> None:
    with pytest.raises(ValueError, match="sizes"):
        EngineSettings.model_validate({"sizes": {"blocks": sizes}})


def test_by_default_types_are_those_of_the_file(path: Path) -> None:
    built = facts(stand_in(), path)
    assert (built["flags"], built["network_flags"]) == ([], 0b11)


@pytest.mark.parametrize(("precision", "flags"), [("fp16", ["FP16"]), ("int8", ["FP16", "INT8"])])
def test_where_types_are_free_flags_say_which(path: Path, precision: str, flags: list[str]) -> None:
    built = facts(stand_in(), path, precision=precision)
    assert (built["flags"], built["network_flags"]) == (flags, 0b01)


def test_where_types_are_strict_the_network_says_which(path: Path) -> None:
    built = facts(stand_in("11.3.0", BuilderFlag=STRICT), path, precision="fp16")
    assert built["flags"] == []
    graph = onnx.load_from_string(base64.b64decode(built["network"])).graph
    assert {tensor.data_type for tensor in graph.initializer} == {onnx.TensorProto.FLOAT16}
    values = [*graph.input, *graph.output]
    assert {value.type.tensor_type.elem_type for value in values} == {onnx.TensorProto.FLOAT}


def test_settings_reach_tensorrt(path: Path) -> None:
    built = facts(stand_in(), path, workspace_mib=64, effort=5, dla_core=1, precision="fp16", sizes=FIXED)
    assert (built["workspace"], built["effort"], built["device"], built["DLA_core"]) == (64 << 20, 5, "DLA", 1)
    assert "GPU_FALLBACK" in built["flags"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"dla_core": 2, "precision": "fp16"}, "DLA core 2: this machine has 2 of them"),
        ({"dla_core": 0, "sizes": FIXED}, "DLA core 0: it wants half precision; set precision to fp16"),
        (
            {"dla_core": 0, "sizes": FIXED, "precision": "int8"},
            "DLA core 0: it wants half precision; set precision to fp16",
        ),
        (
            {"dla_core": 0, "precision": "fp16"},
            "DLA core 0: it needs sizes that never change; give each the same minimum and maximum in sizes",
        ),
    ],
)
def test_an_accelerator_that_cannot_be_used_is_left_out(
    path: Path, settings: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    built = build(stand_in(), path, **settings)
    assert built.skipped == (reason,)
    assert json.loads(built.engine)["device"] is None
    assert f"net.onnx is built without {reason}" in caplog.text


@pytest.mark.parametrize(("content", "kept"), [(b"", b"timed"), (b"known", b"known"), (b"damaged", b"timed")])
def test_what_was_timed_before_is_used(path: Path, content: bytes, kept: bytes) -> None:
    built = build_engine(stand_in(), path.read_bytes(), path, EngineSettings(sizes=SIZES), timing_cache=content)
    assert built.timing_cache == kept


def test_another_gpus_times_are_left_aside(path: Path) -> None:
    settings = EngineSettings(sizes=SIZES)
    assert build_engine(stand_in(), path.read_bytes(), path, settings, b"other GPU").timing_cache == b"timed"


def test_a_version_without_progress_builds(path: Path) -> None:
    built = build(stand_in("8.6.1", IProgressMonitor=None), path)
    assert built.skipped == ("progress: TensorRT 8.6.1 reports no progress and cannot be stopped",)


def test_a_build_can_be_stopped(path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(BuildStoppedError, match=r"net\.onnx"):
        build_engine(stand_in(), path.read_bytes(), path, EngineSettings(sizes=SIZES), stop=stop)


def test_unsupported_operations_are_named(tmp_path: Path) -> None:
    path = odd_network(tmp_path / "odd.onnx")
    named = ["Det 'first' is not supported", "Det 'second' is not supported"]
    assert unsupported_operations(stand_in(), path.read_bytes()) == named
    with pytest.raises(ConfigurationError, match=r"odd\.onnx: TensorRT 10\.3\.0 cannot read it \(Det 'first'"):
        build(stand_in(), path)


def test_a_failed_build_says_why_in_one_line(tmp_path: Path) -> None:
    path = save(tmp_path / "large.onnx", [], [], [], {"large": np.zeros(1 << 19, np.float32)})
    with pytest.raises(ConfigurationError, match=r"cannot build it \(Error Code 2: out of memory\)$"):
        build(stand_in(), path)


def test_a_machine_without_tensorrt_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_module, "MODULES", ("no_such_module",))
    find_tensorrt.cache_clear()
    with pytest.raises(ConfigurationError, match="need TensorRT"):
        find_tensorrt()


def test_the_real_one_builds(tensorrt_rtx: TensorRt, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "perception")
    built = build(tensorrt_rtx, path, workspace_mib=256, effort=2)
    assert built.layers == 2
    assert len(built.engine) > 1000
    assert (built.skipped, built.timing_cache) == ((), b"")


def test_what_the_real_one_lacks_is_skipped(tensorrt_rtx: TensorRt, path: Path) -> None:
    assert str(tensorrt_rtx).startswith("TensorRT-RTX 1.")
    (skipped,) = build(tensorrt_rtx, path, dla_core=0).skipped
    assert skipped == f"DLA core 0: {tensorrt_rtx} runs on GPUs only"


def test_the_real_one_builds_in_half_precision(tensorrt_rtx: TensorRt, path: Path) -> None:
    built = build(tensorrt_rtx, path, precision="fp16")
    assert built.skipped == ()
    assert built.engine != build(tensorrt_rtx, path).engine


def test_the_real_one_needs_sizes(tensorrt_rtx: TensorRt, path: Path) -> None:
    with pytest.raises(ConfigurationError, match="range of 'blocks'"):
        build(tensorrt_rtx, path, sizes={})


def test_the_real_one_names_what_it_cannot_do(tensorrt_rtx: TensorRt, tmp_path: Path) -> None:
    found = unsupported_operations(tensorrt_rtx, odd_network(tmp_path / "odd.onnx").read_bytes())
    assert found == ["Det 'first' is not supported", "Det 'second' is not supported"]


def test_the_real_one_refuses_noise(tensorrt_rtx: TensorRt, tmp_path: Path) -> None:
    (tmp_path / "noise.onnx").write_bytes(b"no network")
    with pytest.raises(ConfigurationError, match=r"noise\.onnx: TensorRT-RTX 1[^\n]* cannot read it \([^\n]+\)$"):
        build(tensorrt_rtx, tmp_path / "noise.onnx")


@pytest.mark.parametrize("call", ["phase_start", "step_complete", "phase_finish"])
@pytest.mark.parametrize("which", ["stand-in", "real"])
def test_ctrl_c_during_a_build_is_not_lost(
    path: Path, call: str, which: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(BuildProgress, call, interrupt)
    tensorrt = stand_in() if which == "stand-in" else request.getfixturevalue("tensorrt_rtx")
    with pytest.raises(KeyboardInterrupt):
        build(tensorrt, path)


def test_the_real_one_can_be_stopped(tensorrt_rtx: TensorRt, path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(BuildStoppedError):
        build_engine(tensorrt_rtx, path.read_bytes(), path, EngineSettings(sizes=SIZES), stop=stop)


ENDING = """
import sys, threading, time
from pathlib import Path
from perception.runtime.dense.settings import EngineSettings, SizeRange
from perception.runtime.dense.tensorrt_build import BuildStoppedError, build_engine
from perception.runtime.dense.tensorrt_module import TensorRt
from perception.runtime.dense.tensorrt_progress import BuildProgress
import tensorrt_rtx_bindings as api
path, begun = Path(sys.argv[1]), threading.Event()
def wait_for_the_end(*_):
    begun.set()
    while threading.main_thread().is_alive():
        time.sleep(0.01)
BuildProgress.phase_start = wait_for_the_end
def build():
    try:
        build_engine(TensorRt(api, "tensorrt_rtx_bindings", "1"), path.read_bytes(), path,
                     EngineSettings(sizes={"blocks": SizeRange(1, 2, 3)}))
        print("built")
    except BuildStoppedError:
        print("stopped")
threading.Thread(target=build).start()
begun.wait()
"""


def test_a_program_that_ends_does_not_wait_for_a_build(path: Path, tensorrt_rtx: TensorRt) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", ENDING, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "stopped"), done.stderr
    assert tensorrt_rtx.is_rtx
