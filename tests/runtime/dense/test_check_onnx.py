"""`make onnx-check`: every ONNX network is parsed and built, and what cannot be is named."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from onnx import helper

from perception.runtime.dense.tensorrt_module import TensorRt
from tests.runtime.dense.networks import convolution, save
from tests.runtime.dense.stand_in import stand_in


@pytest.fixture
def script(top: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_onnx", top / "scripts" / "check_onnx.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "check_onnx", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ready(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script with a stand-in for TensorRT."""
    monkeypatch.setattr(script, "install", lambda: True)
    monkeypatch.setattr(script, "find_tensorrt", stand_in)
    return script


def odd(path: Path) -> Path:
    nodes = [helper.make_node("Det", ["x"], ["y"], name="volume")]
    return save(path, nodes, [("x", np.float32, [2, 3, 3])], [("y", np.float32, [2])], {})


def test_networks_are_listed(ready: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = convolution(tmp_path / "net.onnx")
    assert ready.main([str(path)]) == 0
    first, header, row = capsys.readouterr().out.splitlines()
    assert first == "onnx-check: TensorRT 10.3.0, 1 network"
    assert header.split() == ["file", "layers", "engine", "MiB", "seconds", "unsupported"]
    assert (row.split()[0], row.split()[1], row.split()[-1]) == (str(path), "2", "none")


def test_what_cannot_be_built_is_named_and_fails(
    ready: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, _ = convolution(tmp_path / "good.onnx")
    (tmp_path / "noise.onnx").write_bytes(b"noise")
    files = [good, odd(tmp_path / "odd.onnx"), tmp_path / "noise.onnx", tmp_path / "none.onnx"]
    assert ready.main([str(file) for file in files]) == 1
    told = capsys.readouterr().out
    assert "  Det 'volume' is not supported" in told
    assert "noise.onnx: not an ONNX file" in told
    assert "none.onnx: cannot be read" in told


def test_shipped_networks_are_found(
    ready: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ready, "MODELS", tmp_path)
    assert ready.main([]) == 0
    assert "no bundle under config/models has a dense region" in capsys.readouterr().out
    (tmp_path / "some_bundle").mkdir()
    odd(tmp_path / "some_bundle" / "dense_0.onnx")
    assert ready.main([]) == 1
    assert "dense_0.onnx" in capsys.readouterr().out


def test_where_tensorrt_cannot_be_fetched_that_is_said(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "FOLDER", tmp_path / "tensorrt_rtx")
    failed = SimpleNamespace(returncode=1, stderr="ERROR: first\nERROR: No matching distribution found")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    assert script.main([]) == 0
    assert "cannot be installed here (ERROR: No matching distribution found)" in capsys.readouterr().out
    assert not (tmp_path / "tensorrt_rtx").exists()


def test_it_is_installed_once_for_one_list(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "FOLDER", tmp_path / "tensorrt_rtx")
    monkeypatch.setattr(script, "REQUIREMENTS", tmp_path / "requirements.txt")
    monkeypatch.setattr(sys, "path", [*sys.path])
    calls = []

    def pip(command: list[str], **_: object) -> SimpleNamespace:
        calls.append(command)
        (tmp_path / "tensorrt_rtx").mkdir()
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", pip)
    for text, expected in (("one==1\n", 1), ("one==1\n", 1), ("one==2\n", 2)):
        (tmp_path / "requirements.txt").write_text(text)
        assert script.install()
        assert len(calls) == expected
    assert "--no-deps" in calls[0]


def test_the_real_one_checks(
    script: ModuleType,
    tensorrt_rtx: TensorRt,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(script, "install", lambda: True)
    monkeypatch.setattr(script, "find_tensorrt", lambda: tensorrt_rtx)
    assert script.main([str(convolution(tmp_path / "net.onnx")[0])]) == 0
    assert script.main([str(odd(tmp_path / "odd.onnx"))]) == 1
    assert "Det 'volume' is not supported" in capsys.readouterr().out
