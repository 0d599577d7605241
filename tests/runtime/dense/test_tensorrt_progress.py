"""How far a build is, as the log tells it."""

from __future__ import annotations

import logging
import threading

import pytest

from perception.runtime.dense import tensorrt_progress
from perception.runtime.dense.tensorrt_progress import BuildProgress


def test_inner_phases_count_as_parts_of_their_step() -> None:
    progress = BuildProgress("net")
    assert progress.fraction() == 0
    progress.phase_start("build", None, 4)
    progress.step_complete("build", 0)
    assert progress.fraction() == 0.25
    progress.phase_start("timing", "build", 2)
    progress.step_complete("timing", 0)
    assert progress.fraction() == 0.375
    progress.phase_finish("timing")
    progress.step_complete("build", 3)
    assert progress.fraction() == 1


def test_phases_may_come_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_progress, "SECONDS_BETWEEN_LINES", 0)
    progress = BuildProgress("net")
    progress.phase_finish("never begun")
    assert progress.step_complete("never begun", 3)
    progress.phase_start("empty", None, 0)
    assert progress.fraction() == 0


def test_it_asks_to_stop() -> None:
    stop = threading.Event()
    progress = BuildProgress("net", stop)
    progress.phase_start("build", None, 2)
    assert progress.step_complete("build", 0)
    stop.set()
    assert not progress.step_complete("build", 1)


def test_lines_are_few(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "perception")
    now_s = 100.0
    monkeypatch.setattr(tensorrt_progress.time, "monotonic", lambda: now_s)
    progress = BuildProgress("net.onnx")
    progress.phase_start("Building engine", None, 100)
    for step in range(100):
        now_s += 0.2
        progress.step_complete("Building engine", step)
    assert caplog.messages == [
        "building net.onnx: 25 %, building engine",
        "building net.onnx: 50 %, building engine",
        "building net.onnx: 75 %, building engine",
        "building net.onnx: 100 %, building engine",
    ]
