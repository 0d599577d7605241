"""Timing the stages of a frame."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class StageTimer:
    """Collects the wall time of named stages, in the order in which they first ran; a GPU has a timer of its own."""

    def __init__(self) -> None:
        self._stage_ms: dict[str, float] = {}

    @property
    def stage_ms(self) -> dict[str, float]:
        """The milliseconds of each stage so far."""
        return self._stage_ms

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to the stage `name`."""
        start_s = time.perf_counter()
        try:
            yield
        finally:
            elapsed_ms = (time.perf_counter() - start_s) * 1e3
            self._stage_ms[name] = self._stage_ms.get(name, 0.0) + elapsed_ms
