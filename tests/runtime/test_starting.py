"""Starting a network: loaded, warmed up, checked, or closed again."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_engine import FakeEngine
from test_self_check import write_check

from perception.configuration import ConfigurationError
from perception.runtime import native, starting
from perception.runtime.starting import start_engine
from tests.bundle.graphs import graph_of, unet, write_files


@pytest.fixture
def bundle(tmp_path) -> Path:
    (tmp_path / "bundle.yaml").write_text("")
    return tmp_path


def serve(monkeypatch, engine: FakeEngine) -> list[tuple]:
    """Let every bundle give this engine; returns the arguments it was loaded with."""
    asked: list[tuple] = []

    def load(*arguments):
        asked.append(arguments)
        return engine

    monkeypatch.setattr(starting, "load_engine", load)
    return asked


def test_on_a_gpu_it_is_warmed_up_and_then_checked(monkeypatch, bundle):
    engine = FakeEngine(files=write_check(bundle))
    asked = serve(monkeypatch, engine)
    assert start_engine(bundle, "cuda", threads=2) is engine
    assert engine.calls == ["warm_up", "forward"]
    assert asked == [(bundle.resolve(), "cuda", 2, None, None)]


def test_on_a_cpu_the_check_is_the_first_run(monkeypatch, bundle):
    engine = FakeEngine(files=write_check(bundle))
    serve(monkeypatch, engine)
    start_engine(bundle, "cpu")
    assert engine.calls == ["forward"]


def test_what_has_no_check_is_warmed_up(monkeypatch, bundle):
    engine = FakeEngine()
    serve(monkeypatch, engine)
    start_engine(bundle, "cpu")
    assert engine.calls == ["warm_up"]


def test_one_that_fails_its_check_is_closed(monkeypatch, bundle):
    engine = FakeEngine(wrong=100, files=write_check(bundle))
    serve(monkeypatch, engine)
    with pytest.raises(ConfigurationError, match="self-check"):
        start_engine(bundle)
    assert engine.is_closed


def test_one_that_does_not_run_is_closed(monkeypatch, bundle):
    def fail():
        raise RuntimeError("no such kernel")

    engine = FakeEngine(on_warm_up=fail)
    serve(monkeypatch, engine)
    with pytest.raises(RuntimeError, match="no such kernel"):
        start_engine(bundle)
    assert engine.calls == ["warm_up", "close"]


def test_how_engines_of_a_gpu_are_built_is_a_setting(monkeypatch, bundle, tmp_path):
    asked = serve(monkeypatch, FakeEngine())
    (tmp_path / "engines.yaml").write_text("precision: fp16")
    start_engine(bundle, "cuda", engine_cache=tmp_path / "engines", engine_settings=tmp_path / "engines.yaml")
    options = asked[0][3]
    assert (options.cache.files.folder, options.settings.precision) == (tmp_path / "engines", "fp16")
    start_engine(bundle, "cuda:1")
    assert asked[1][3] is None


def test_settings_of_engines_that_cannot_be_read_are_one_sentence(monkeypatch, bundle, tmp_path):
    serve(monkeypatch, FakeEngine())
    with pytest.raises(ConfigurationError, match=r"missing\.yaml"):
        start_engine(bundle, "cuda", engine_settings=tmp_path / "missing.yaml")


def test_a_bundle_that_does_not_load_gives_its_place_back(monkeypatch, tmp_path):
    class Place:
        closed = 0

        def close(self):
            self.closed += 1

    def refuse(*_):
        raise ConfigurationError("no TensorRT")

    net, place = unet(), Place()
    write_files(tmp_path, graph_of(net), net.tensors)
    monkeypatch.setattr(native, "open_place", lambda device: place)
    monkeypatch.setattr(native, "load_executor", refuse)
    with pytest.raises(ConfigurationError, match="no TensorRT"):
        start_engine(tmp_path)
    assert place.closed == 1
