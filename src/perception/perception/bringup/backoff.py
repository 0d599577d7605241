"""How long to wait before a process that died is started again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Backoff:
    """Waits double with every death, up to a limit; a process that stayed up for a while starts afresh."""

    first_s: float = 1.0
    last_s: float = 30.0
    healthy_s: float = 60.0
    _next_s: float = 0.0

    def delay_s(self, uptime_s: float) -> float:
        """The wait after a death `uptime_s` after the start."""
        if uptime_s >= self.healthy_s or self._next_s == 0.0:
            self._next_s = self.first_s
        delay_s = self._next_s
        self._next_s = min(2 * delay_s, self.last_s)
        return delay_s
