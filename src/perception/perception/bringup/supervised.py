"""One process of the stack over its deaths and restarts."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from perception.bringup.backoff import Backoff
from perception.bringup.process import ChildProcess, exit_text


@dataclass(frozen=True)
class Command:
    """What to run: its name in log lines, the words of the command, and what its end means."""

    name: str
    words: tuple[str, ...]
    ends_bringup: bool = False


@dataclass(frozen=True)
class ProcessStatus:
    """How one process is.

    Attributes:
        pid: None while it is down.
        restarts: since bring-up started.
        last_exit: how it ended the last time, empty if it never did.
        restart_in_s: while it is down, the time until it is started again.
    """

    name: str
    pid: int | None
    uptime_s: float
    restarts: int
    last_exit: str
    restart_in_s: float


@dataclass
class Supervised:
    """Keeps one command running."""

    command: Command
    environment: Mapping[str, str]
    say: Callable[[str, str], None]
    backoff: Backoff = field(default_factory=Backoff)
    child: ChildProcess | None = None
    restarts: int = 0
    last_exit: str = ""
    _restart_at_s: float = 0.0

    def start(self) -> None:
        """Start it."""
        self.child = ChildProcess(self.command.words, self.environment)

    def relay(self) -> None:
        """Pass on what it printed."""
        if self.child is not None:
            for line in self.child.lines():
                self.say(self.command.name, line)

    def reap(self) -> int | None:
        """The exit code if it has just ended, else None."""
        if self.child is None or (code := self.child.exit_code()) is None:
            return None
        for line in self.child.close():
            self.say(self.command.name, line)
        self.last_exit = exit_text(code)
        delay_s = self.backoff.delay_s(self.child.uptime_s)
        self._restart_at_s = time.monotonic() + delay_s
        self.child = None
        return code

    def restart_in_s(self) -> float:
        """Time until it is to be started again; 0 when that is now, or when it runs."""
        return max(0.0, self._restart_at_s - time.monotonic()) if self.child is None else 0.0

    def restart_if_due(self) -> bool:
        """Start it again once its wait is over; whether that happened."""
        if self.child is not None or self.restart_in_s() > 0:
            return False
        self.restarts += 1
        self.start()
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        if self.child is not None:
            self.child.signal(number)

    def status(self) -> ProcessStatus:
        """How it is now."""
        child = self.child
        return ProcessStatus(
            name=self.command.name,
            pid=None if child is None else child.pid,
            uptime_s=0.0 if child is None else child.uptime_s,
            restarts=self.restarts,
            last_exit=self.last_exit,
            restart_in_s=self.restart_in_s(),
        )
