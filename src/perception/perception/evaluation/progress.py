"""How far an evaluation is: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

LINE_EVERY_S = 5.0


class FrameProgress(Protocol):
    """Shows how many results there are; a `with` block."""

    def __enter__(self) -> FrameProgress:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""

    def advance(self, bag: str, dropped: bool) -> None:
        """Count a result, or that there was none."""


def frame_progress(console: Console, total: int) -> FrameProgress:
    """Show progress towards as many results as there should be; 0: not known."""
    return _Bar(console, total) if console.is_terminal else _Lines(console, total)


class _Bar:
    def __init__(self, console: Console, total: int) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        speed = TextColumn("{task.fields[dropped]} dropped, {task.fields[rate]:.1f}/s")
        self._progress = Progress(*columns, speed, TimeRemainingColumn(), console=console, transient=True)
        self._task = self._progress.add_task("starting networks", total=total or None, dropped=0, rate=0.0)
        self._dropped, self._started_s = 0, 0.0

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def advance(self, bag: str, dropped: bool) -> None:
        self._dropped += dropped
        self._started_s = self._started_s or time.monotonic()
        done = self._progress.tasks[self._task].completed
        rate = done / max(time.monotonic() - self._started_s, 1e-3)
        self._progress.update(self._task, advance=1, description=bag, dropped=self._dropped, rate=rate)


class _Lines:
    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total = console, total
        self._done = self._dropped = 0
        self._started_s = self._said_s = time.monotonic()

    def __enter__(self) -> _Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def advance(self, bag: str, dropped: bool) -> None:
        self._done += 1
        self._dropped += dropped
        now_s = time.monotonic()
        if now_s - self._said_s >= LINE_EVERY_S:
            self._said_s = now_s
            of = f" of {self._total}" if self._total else ""
            rate = self._done / (now_s - self._started_s)
            self._console.print(f"{self._done}{of} results, {self._dropped} dropped, {rate:.1f}/s ({bag})")
