"""Counting frames, and judging them for /diagnostics."""

from __future__ import annotations

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from perception.ros import statistics
from perception.ros.diagnostics import Limits, frames_status, processing_status, state_status
from perception.ros.statistics import FrameStatistics

LIMITS = Limits(max_processing_time_ms=100.0, max_consecutive_delay_ms=1000.0)
SECOND_NS = 1_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(statistics, "time", clock)
    return clock


def values(status):
    return {pair.key: pair.value for pair in status.values}


def frames_at(clock, times: int, period_s: float, processing_ms: float, start_ns: int = 0) -> FrameStatistics:
    frames = FrameStatistics()
    for index in range(times):
        frames.on_received(start_ns + int(index * period_s * SECOND_NS))
        frames.on_published(processing_ms, LIMITS.max_processing_time_ms)
        clock.now_s += period_s
    return frames


def test_in_time_frames_are_ok(clock):
    snapshot = frames_at(clock, 50, 0.1, 20.0).snapshot()

    assert snapshot.input_rate_hz == pytest.approx(10, rel=0.05)
    assert processing_status("/n", snapshot, LIMITS).level == DiagnosticStatus.OK
    assert frames_status("/n", True, snapshot, "/in").level == DiagnosticStatus.OK


def test_late_frames_warn_and_then_are_an_error(clock):
    warned = processing_status("/n", frames_at(clock, 5, 0.1, 150.0).snapshot(), LIMITS)
    failed = processing_status("/n", frames_at(clock, 12, 0.1, 150.0).snapshot(), LIMITS)

    assert (warned.level, failed.level) == (DiagnosticStatus.WARN, DiagnosticStatus.ERROR)
    assert warned.message == "last frame took 150 ms, more than 100 ms"
    assert failed.message.startswith("every frame late for 1.")


def test_one_frame_in_time_ends_the_delay(clock):
    frames = frames_at(clock, 12, 0.1, 150.0)
    frames.on_published(50.0, LIMITS.max_processing_time_ms)

    assert frames.snapshot().late_ms == 0
    assert processing_status("/n", frames.snapshot(), LIMITS).level == DiagnosticStatus.OK


def test_a_problem_is_an_error_until_a_frame_goes_well(clock):
    frames = frames_at(clock, 3, 0.1, 20.0)
    frames.on_received(SECOND_NS)
    frames.on_dropped("malformed.truncated", "malformed.truncated: too short")
    failed = frames_status("/n", True, frames.snapshot(), "/in")
    frames.on_published(20.0, 100.0)
    mended = frames_status("/n", True, frames.snapshot(), "/in")

    assert (failed.level, failed.message) == (DiagnosticStatus.ERROR, "malformed.truncated: too short")
    assert values(failed)["dropped.malformed.truncated"] == "1"
    assert values(failed)["dropped"] == "1"
    assert mended.level == DiagnosticStatus.OK


def test_silence_warns_only_while_active(clock):
    frames = FrameStatistics()
    never = frames_status("/n", True, frames.snapshot(), "/in")
    frames.on_received(0)
    clock.now_s += 5
    silent = frames_status("/n", True, frames.snapshot(), "/in")

    assert (never.level, silent.level) == (DiagnosticStatus.WARN, DiagnosticStatus.WARN)
    assert silent.message == "nothing received on /in for 5 s"
    assert frames_status("/n", False, frames.snapshot(), "/in").level == DiagnosticStatus.OK


def test_the_rate_falls_when_the_input_stops(clock):
    frames = frames_at(clock, 50, 0.1, 20.0)
    clock.now_s += 20

    assert frames.snapshot().input_rate_hz == 0


def test_a_jump_back_in_time_resets_history_but_not_counts(clock):
    frames = frames_at(clock, 20, 0.1, 150.0, start_ns=50 * SECOND_NS)

    cyclic_ms = frames.on_received(50 * SECOND_NS)

    snapshot = frames.snapshot()
    assert cyclic_ms is None
    assert snapshot.processing_ms == ()
    assert (snapshot.late_ms, snapshot.input_rate_hz) == (0, 0)
    assert snapshot.totals == {"time_jumps_back": 1}
    assert (snapshot.received, snapshot.published) == (21, 20)


def test_sensors_slightly_out_of_step_are_no_jump(clock):
    frames = FrameStatistics()
    for stamp_ns in (SECOND_NS, SECOND_NS - 50_000_000, SECOND_NS + 50_000_000):
        frames.on_received(stamp_ns)

    assert frames.snapshot().totals == {}


def test_state_reports_memory_and_a_failed_transition():
    fine = state_status("/n", "active", "", {"bundle": "b"})
    failed = state_status("/n", "unconfigured", "cannot configure: no bundle", {})

    assert (fine.level, fine.message) == (DiagnosticStatus.OK, "active")
    assert float(values(fine)["memory_mb"]) > 10
    assert (failed.level, failed.message) == (DiagnosticStatus.ERROR, "cannot configure: no bundle")
