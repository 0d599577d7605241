"""Start processes, relay their output, restart what dies, and stop everything in order."""

from __future__ import annotations

import selectors
import signal
import time
from collections.abc import Callable, Mapping, Sequence

from perception.bringup.supervised import Command, ProcessStatus, Supervised

#: How processes are asked to stop: signal, and how long to wait for the end before the next one.
STOP_STEPS: tuple[tuple[signal.Signals, float], ...] = (
    (signal.SIGINT, 8.0),
    (signal.SIGTERM, 4.0),
    (signal.SIGKILL, 4.0),
)
POLL_S = 0.1
REPORT_PERIOD_S = 1.0
#: When the bag has ended, nodes finish the frame they are at before they are stopped.
LINGER_S = 1.0
#: Who speaks when the supervisor itself has something to say.
OWN_NAME = "bringup"


def print_line(name: str, line: str) -> None:
    """Print a line of a process's output with its name before it."""
    print(f"[{name}] {line}", flush=True)


class Supervisor:
    """Runs commands until asked to stop, or until one of those ends that end bring-up.

    Args:
        commands: in the order of starting; they are stopped in the opposite order.
        environment: of the processes.
        report: called every second and whenever a process dies or is restarted.
        say: prints a line (name, text).
        stop_steps: see STOP_STEPS.
        linger_s: see LINGER_S.
    """

    def __init__(
        self,
        commands: Sequence[Command],
        environment: Mapping[str, str],
        report: Callable[[Sequence[ProcessStatus]], None] = lambda statuses: None,
        say: Callable[[str, str], None] = print_line,
        stop_steps: Sequence[tuple[signal.Signals, float]] = STOP_STEPS,
        linger_s: float = LINGER_S,
    ) -> None:
        self._supervised = [Supervised(command, environment, say) for command in commands]
        self._report = report
        self._say = say
        self._stop_steps = stop_steps
        self._stop_requests = 0
        self._linger_s = linger_s
        self._next_report_s = 0.0

    def request_stop(self, *_: object) -> None:
        """Stop everything; a second request does not wait for those that take their time. A signal handler."""
        self._stop_requests += 1

    def run(self) -> int:
        """Start everything and supervise it; 0 after a stop request, else the exit code of what ended bring-up."""
        code = None
        try:
            for supervised in self._supervised:
                supervised.start()
                self._say(OWN_NAME, f"started {supervised.command.name} (pid {supervised.status().pid})")
            while not self._stop_requests and code is None:
                self._relay()
                code = self._attend()
            self._linger()
        finally:
            self._stop()
        return code or 0

    def _relay(self) -> None:
        """Wait a moment for output of any process, and pass it on."""
        with selectors.DefaultSelector() as selector:
            for supervised in self._supervised:
                if supervised.child is not None and supervised.child.output_open:
                    selector.register(supervised.child, selectors.EVENT_READ, supervised)
            if not selector.get_map():
                time.sleep(POLL_S)
            for key, _ in selector.select(POLL_S):
                key.data.relay()

    def _attend(self) -> int | None:
        """Note deaths, make restarts, report; an exit code when bring-up is over."""
        changed = False
        for supervised in self._supervised:
            code = supervised.reap()
            if code is not None and supervised.command.ends_bringup:
                self._say(OWN_NAME, f"{supervised.command.name} has ended ({supervised.last_exit})")
                return code if code >= 0 else 1
            if code is not None:
                wait_s = supervised.restart_in_s()
                self._say(
                    OWN_NAME, f"{supervised.command.name} died ({supervised.last_exit}); restart in {wait_s:.0f} s"
                )
                changed = True
            elif supervised.restart_if_due():
                self._say(OWN_NAME, f"restarted {supervised.command.name} (restart {supervised.restarts})")
                changed = True
        if changed or time.monotonic() >= self._next_report_s:
            self._next_report_s = time.monotonic() + REPORT_PERIOD_S
            self._report([supervised.status() for supervised in self._supervised])
        return None

    def _linger(self) -> None:
        deadline_s = time.monotonic() + self._linger_s
        while not self._stop_requests and time.monotonic() < deadline_s and any(one.child for one in self._supervised):
            self._relay()

    def _stop(self) -> None:
        """Stop what runs: sources of data before the nodes that consume it, each asked more and more firmly."""
        for supervised in reversed(self._supervised):
            for number, timeout_s in self._stop_steps:
                if self._ends_after(supervised, number, timeout_s):
                    break

    def _ends_after(self, supervised: Supervised, number: signal.Signals, timeout_s: float) -> bool:
        if supervised.child is None:
            return True
        deadline_s, requests = time.monotonic() + timeout_s, self._stop_requests
        supervised.signal(number)
        self._say(OWN_NAME, f"stopping {supervised.command.name} ({number.name})")
        while supervised.child is not None and time.monotonic() < deadline_s and self._stop_requests == requests:
            self._relay()
            for other in self._supervised:
                if other.reap() is not None:
                    self._say(OWN_NAME, f"{other.command.name} stopped ({other.last_exit})")
        return supervised.child is None
