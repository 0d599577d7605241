from __future__ import annotations

from perception.bringup.backoff import Backoff


def test_waits_double_up_to_the_limit() -> None:
    backoff = Backoff()
    assert [backoff.delay_s(uptime_s=0.1) for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]


def test_a_healthy_minute_starts_afresh() -> None:
    backoff = Backoff()
    for _ in range(4):
        backoff.delay_s(uptime_s=1.0)
    assert backoff.delay_s(uptime_s=59.9) == 16
    assert backoff.delay_s(uptime_s=60.0) == 1
    assert backoff.delay_s(uptime_s=1.0) == 2
