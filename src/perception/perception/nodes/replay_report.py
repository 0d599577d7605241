"""What a replay tells its user: progress, falling behind, and the sum at the end."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from perception.nodes.replay_options import ReplayOptions
from perception.ros.bag_selection import SelectedBag
from perception.ros.pace import Lateness
from perception.ros.read_ahead import BagMessage

LATE_WARNING_MS = 50.0
#: Without a terminal: a line, and with one: at most a warning, in this many seconds.
LINE_PERIOD_S = 5.0
BAR_PERIOD_S = 0.2


class ReplayReport(AbstractContextManager["ReplayReport"]):
    """Counts what is published, and shows it: a progress bar on a terminal, a line every few seconds elsewhere."""

    def __init__(self, bag: SelectedBag, options: ReplayOptions, skipped: dict[str, str]) -> None:
        self._console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self._bag = bag
        self._options = options
        self._lateness = Lateness()
        self._bytes = 0
        self._played_ns = 0
        self._passes_ns = 0
        self._next_line_s = self._next_bar_s = self._next_warning_s = 0.0
        for topic, type_name in sorted(skipped.items()):
            self.say(f"skipping {topic}: {type_name} is not installed")

    def say(self, text: str) -> None:
        """Print one line."""
        self._console.print(f"replay: {text}", markup=False)

    def __enter__(self) -> ReplayReport:
        self._started_s = time.monotonic()
        self._next_line_s = self._started_s + LINE_PERIOD_S
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.1f}/{task.total:.1f} s"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            disable=not self._console.is_terminal,
            auto_refresh=False,
        )
        self._task = self._progress.add_task(self._bag.path.name, total=self._bag.duration_s, note="")
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._show_bar()
        self._progress.stop()
        self.say(self.summary())

    def next_pass(self) -> None:
        """Note that the bag starts again."""
        self._passes_ns += self._bag.stop_ns - self._bag.start_ns
        self._played_ns = 0

    def published(self, message: BagMessage, late_ms: float) -> None:
        """Count one message that went out `late_ms` after it was due."""
        now_s = time.monotonic()
        self._lateness.add(late_ms)
        self._bytes += len(message.data)
        self._played_ns = message.time_ns - self._bag.start_ns
        if late_ms > LATE_WARNING_MS and now_s >= self._next_warning_s:
            self._next_warning_s = now_s + LINE_PERIOD_S
            self.say(f"{late_ms:.0f} ms behind schedule: lower --rate, or --exclude topics nobody needs")
        if self._progress.disable and now_s >= self._next_line_s:
            self._next_line_s = now_s + LINE_PERIOD_S
            self.say(f"{self._played_ns / 1e9:.1f}/{self._bag.duration_s:.1f} s, {self._behind()}")
        elif not self._progress.disable and now_s >= self._next_bar_s:
            self._next_bar_s = now_s + BAR_PERIOD_S
            self._show_bar()

    def _show_bar(self) -> None:
        self._progress.update(self._task, completed=self._played_ns / 1e9, note=self._behind(), refresh=True)

    def _behind(self) -> str:
        late = self._lateness
        return f"behind schedule: p99 {late.percentile_ms(99):.1f} ms, max {late.max_ms:.1f} ms"

    def summary(self) -> str:
        """Messages, rate, throughput and lateness of everything so far."""
        took_s = max(time.monotonic() - self._started_s, 1e-9)
        rate = (self._passes_ns + self._played_ns) / 1e9 / took_s
        return (
            f"published {self._lateness.count} messages in {took_s:.1f} s, rate {rate:.2f} of {self._options.rate:g}, "
            f"{self._bytes / 1e6 / took_s:.1f} MB/s; {self._behind()}"
        )
