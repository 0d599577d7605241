"""When each message of a replay is due, and how late it really went out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable


class Pace:
    """Maps the bag's time to this machine's.

    Args:
        start_ns: bag time at which the replay starts.
        rate: bag seconds a second.
        now_ns: a clock that never jumps.
    """

    def __init__(self, start_ns: int, rate: float, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._start_ns = start_ns
        self._rate = rate
        self._now_ns = now_ns
        self.restart()

    def restart(self) -> None:
        """Start (again) now."""
        self._started_ns = self._now_ns()

    def skip_to(self, time_ns: int) -> None:
        """Let bag time `time_ns` be now."""
        self._started_ns = self._now_ns() - round((time_ns - self._start_ns) / self._rate)

    def bag_time_ns(self) -> int:
        """Where in the bag the replay should be now."""
        return self._start_ns + round((self._now_ns() - self._started_ns) * self._rate)

    def wait_s(self, time_ns: int) -> float:
        """Seconds until bag time `time_ns` is due; negative when it has passed."""
        due_ns = self._started_ns + (time_ns - self._start_ns) / self._rate
        return (due_ns - self._now_ns()) / 1e9


class Lateness:
    """How far behind schedule messages were published, in tenths of a millisecond, however many there are."""

    BINS_PER_MS = 10
    LAST_BIN = 10_000 * BINS_PER_MS

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.count = 0
        self.max_ms = 0.0

    def add(self, late_ms: float) -> None:
        """Count one message; early is not late."""
        late_ms = max(late_ms, 0.0)
        self._counts[min(int(late_ms * self.BINS_PER_MS), self.LAST_BIN)] += 1
        self.count += 1
        self.max_ms = max(self.max_ms, late_ms)

    def percentile_ms(self, percent: float) -> float:
        """The upper edge of the bin that holds this percentile; 0 before the first message."""
        wanted = self.count * percent / 100
        seen = 0
        for position in sorted(self._counts):
            seen += self._counts[position]
            if seen >= wanted:
                return min((position + 1) / self.BINS_PER_MS, self.max_ms)
        return 0.0
