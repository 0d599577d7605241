from __future__ import annotations

import pytest

from perception.ros.pace import Lateness, Pace


class Clock:
    now_ns = 5_000_000_000

    def __call__(self) -> int:
        return self.now_ns


@pytest.mark.parametrize(("rate", "expected_s"), [(1.0, 2.0), (2.0, 1.0), (0.5, 4.0)])
def test_messages_are_due_at_the_rate(rate: float, expected_s: float) -> None:
    clock = Clock()
    pace = Pace(start_ns=100_000_000_000, rate=rate, now_ns=clock)
    assert pace.wait_s(102_000_000_000) == pytest.approx(expected_s)
    clock.now_ns += 3_000_000_000
    assert pace.wait_s(102_000_000_000) == pytest.approx(expected_s - 3.0)
    assert pace.bag_time_ns() == 100_000_000_000 + round(3e9 * rate)


def test_restart_goes_back_to_the_start() -> None:
    clock = Clock()
    pace = Pace(start_ns=0, rate=1.0, now_ns=clock)
    clock.now_ns += 7_000_000_000
    pace.restart()
    assert pace.bag_time_ns() == 0


def test_lateness_of_no_message_is_zero() -> None:
    assert (Lateness().percentile_ms(99), Lateness().max_ms) == (0.0, 0.0)


def test_lateness_percentiles() -> None:
    lateness = Lateness()
    for late_ms in range(1, 101):
        lateness.add(float(late_ms))
    assert lateness.max_ms == 100.0
    assert lateness.percentile_ms(50) == pytest.approx(50.1)
    assert lateness.percentile_ms(99) == pytest.approx(99.1)
    assert lateness.percentile_ms(100) == 100.0


def test_early_is_not_late_and_hours_late_is_counted() -> None:
    lateness = Lateness()
    lateness.add(-3.0)
    assert lateness.percentile_ms(100) == 0.0
    lateness.add(7.2e6)
    assert (lateness.count, lateness.max_ms) == (2, 7.2e6)


@pytest.mark.parametrize("rate", [1.0, 0.5])
def test_a_gap_that_is_skipped_takes_no_time(rate: float) -> None:
    clock = Clock()
    pace = Pace(start_ns=100_000_000_000, rate=rate, now_ns=clock)
    clock.now_ns += 3_000_000_000
    pace.skip_to(5_000_000_000_000)
    assert pace.wait_s(5_000_000_000_000) == pytest.approx(0.0)
    assert pace.wait_s(5_001_000_000_000) == pytest.approx(1 / rate)
