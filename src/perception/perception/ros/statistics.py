"""What a node has seen and done: counters and recent times, safe to use from several threads."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field

from perception.data.sweep_history import TIME_JUMP_NS

#: Rates and times are over at most this many frames and this many seconds.
WINDOW_FRAMES = 100
WINDOW_S = 10.0


@dataclass(frozen=True)
class Snapshot:
    """The state of the statistics at one moment.

    Attributes:
        received, published: frames since the start of the process.
        dropped: reason -> frames that gave no result.
        noted: kind -> frames that were unusual, but gave a result.
        totals: name -> sums of other things, such as points.
        input_rate_hz: over the recent window, 0 without input.
        processing_ms: recent processing times, oldest first.
        late_ms: for how long every frame has been late; 0 when the last one was in time.
        since_input_s: since the last message, None before the first.
        problem: what went wrong last, for people; empty since the last frame that went well.
    """

    received: int
    published: int
    dropped: dict[str, int]
    noted: dict[str, int]
    totals: dict[str, int]
    input_rate_hz: float
    processing_ms: tuple[float, ...]
    late_ms: float
    since_input_s: float | None
    problem: str


@dataclass
class FrameStatistics:
    """Counts frames on their way through a node."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _received: int = 0
    _published: int = 0
    _dropped: Counter[str] = field(default_factory=Counter)
    _noted: Counter[str] = field(default_factory=Counter)
    _totals: Counter[str] = field(default_factory=Counter)
    _arrivals_s: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW_FRAMES))
    _processing: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=WINDOW_FRAMES))
    _last_arrival_s: float | None = None
    _last_stamp_ns: int | None = None
    _late_since_s: float | None = None
    _problem: str = ""

    def on_received(self, stamp_ns: int) -> float | None:
        """Count a message; returns milliseconds since the one before, None for the first or after a jump in time."""
        now_s = time.monotonic()
        with self._lock:
            self._received += 1
            if self._last_stamp_ns is not None and stamp_ns < self._last_stamp_ns - TIME_JUMP_NS:
                self._forget()
            self._last_stamp_ns = stamp_ns
            before_s = self._arrivals_s[-1] if self._arrivals_s else None
            self._arrivals_s.append(now_s)
            self._last_arrival_s = now_s
        return None if before_s is None else (now_s - before_s) * 1e3

    def on_published(self, processing_ms: float, limit_ms: float) -> None:
        """Count a frame that gave a result, and whether it was in time."""
        now_s = time.monotonic()
        with self._lock:
            self._published += 1
            self._problem = ""
            self._processing.append((now_s, processing_ms))
            if processing_ms <= limit_ms:
                self._late_since_s = None
            elif self._late_since_s is None:
                self._late_since_s = now_s - processing_ms * 1e-3

    def on_dropped(self, reason: str, problem: str = "") -> None:
        """Count a frame that gave no result; `problem` is shown on /diagnostics until a frame goes well."""
        with self._lock:
            self._dropped[reason] += 1
            self._problem = problem or self._problem

    def on_noted(self, kinds: tuple[str, ...]) -> None:
        """Count a frame as unusual, once for each kind."""
        with self._lock:
            self._noted.update(kinds)

    def add(self, name: str, amount: int) -> None:
        """Add to a running sum."""
        with self._lock:
            self._totals[name] += amount

    def reset_history(self) -> None:
        """Forget rates and times because time jumped back; what was counted stays."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        self._totals["time_jumps_back"] += 1
        self._arrivals_s.clear()
        self._processing.clear()
        self._late_since_s = None
        self._last_stamp_ns = None

    def snapshot(self) -> Snapshot:
        """Everything at this moment."""
        now_s = time.monotonic()
        with self._lock:
            arrivals = [arrival for arrival in self._arrivals_s if now_s - arrival <= WINDOW_S]
            recent = tuple(took_ms for at_s, took_ms in self._processing if now_s - at_s <= WINDOW_S)
            # Up to now, so that the rate falls when the input stops.
            span_s = now_s - arrivals[0] if len(arrivals) > 1 else 0.0
            return Snapshot(
                received=self._received,
                published=self._published,
                dropped=dict(self._dropped),
                noted=dict(self._noted),
                totals=dict(self._totals),
                input_rate_hz=(len(arrivals) - 1) / span_s if span_s > 0 else 0.0,
                processing_ms=recent,
                late_ms=(now_s - self._late_since_s) * 1e3 if self._late_since_s is not None and recent else 0.0,
                since_input_s=None if self._last_arrival_s is None else now_s - self._last_arrival_s,
                problem=self._problem,
            )
