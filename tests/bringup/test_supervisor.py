"""The supervisor with real processes that are not nodes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from perception.bringup.supervised import Command, ProcessStatus
from perception.bringup.supervisor import Supervisor

POLITE = (
    "import signal, sys; signal.signal(signal.SIGINT, lambda *_: sys.exit(0)); print('up', flush=True); signal.pause()"
)
DEAF = (
    "import signal, time\n"
    "for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, lambda *_: None)\n"
    "print('up', flush=True)\n"
    "while True: time.sleep(60)"
)


def wait_until(condition: Callable[[], Any], timeout_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.01)


class Running:
    """A supervisor in a thread, with what it said and reported."""

    def __init__(self, commands: Sequence[tuple[str, str] | Command], **options: Any) -> None:
        self.said: list[tuple[str, str]] = []
        self.reports: list[list[ProcessStatus]] = []
        self.exit_code: int | None = None
        self.supervisor = Supervisor(
            [one if isinstance(one, Command) else python(*one) for one in commands],
            dict(os.environ),
            report=lambda statuses: self.reports.append(list(statuses)),
            say=lambda name, line: self.said.append((name, line)),
            linger_s=0.0,
            **options,
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.exit_code = self.supervisor.run()

    def wait_for(self, name: str, text: str, times: int = 1) -> None:
        wait_until(lambda: sum(who == name and text in line for who, line in self.said) >= times)

    def join(self) -> int | None:
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.exit_code

    def stop(self) -> int | None:
        self.supervisor.request_stop()
        return self.join()

    def pid(self) -> int:
        wait_until(lambda: self.reports and self.reports[-1][0].pid)
        pid = self.reports[-1][0].pid
        assert pid is not None
        return pid


def python(name: str, code: str, ends_bringup: bool = False) -> Command:
    return Command(name, (sys.executable, "-c", code), ends_bringup)


def test_output_is_relayed_with_the_name() -> None:
    code = f"print('one'); print('two'); import sys; print('three', file=sys.stderr, flush=True)\n{POLITE}"
    running = Running([("talker", code)])
    running.wait_for("talker", "up")
    assert running.stop() == 0
    assert {"one", "two", "three"} <= {line for name, line in running.said if name == "talker"}


def test_a_killed_process_is_reported_and_restarted() -> None:
    running = Running([("node", POLITE), ("other", POLITE)])
    running.wait_for("node", "up")
    running.wait_for("other", "up")
    first = running.pid()
    os.kill(first, signal.SIGKILL)
    running.wait_for("bringup", "node died (killed by SIGKILL); restart in 1 s")
    running.wait_for("node", "up", times=2)
    wait_until(lambda: running.reports[-1][0].restarts == 1 and running.reports[-1][0].pid not in (None, first))
    down = [report[0] for report in running.reports if report[0].pid is None]
    assert down
    assert down[0].last_exit == "killed by SIGKILL"
    # The other one was left alone.
    assert {report[1].restarts for report in running.reports} == {0}
    assert running.stop() == 0


def test_waits_grow_while_it_keeps_dying() -> None:
    running = Running([("node", "raise SystemExit(3)")])
    running.wait_for("bringup", "node died (exit code 3); restart in 1 s")
    running.wait_for("bringup", "node died (exit code 3); restart in 2 s")
    assert running.stop() == 0


def test_processes_stop_in_the_opposite_order() -> None:
    running = Running([("first", POLITE), ("second", POLITE)])
    running.wait_for("first", "up")
    running.wait_for("second", "up")
    assert running.stop() == 0
    stopped = [line for name, line in running.said if name == "bringup" and "stopped" in line]
    assert stopped == ["second stopped (exit code 0)", "first stopped (exit code 0)"]


def test_one_that_does_not_listen_is_killed() -> None:
    steps = ((signal.SIGINT, 0.3), (signal.SIGTERM, 0.3), (signal.SIGKILL, 10.0))
    running = Running([("deaf", DEAF)], stop_steps=steps)
    running.wait_for("deaf", "up")
    pid = running.pid()
    assert running.stop() == 0
    said = [line for name, line in running.said if name == "bringup"]
    assert said[-3:] == [
        "stopping deaf (SIGTERM)",
        "stopping deaf (SIGKILL)",
        "deaf stopped (killed by SIGKILL)",
    ]
    assert not psutil.pid_exists(pid)


def test_a_second_request_does_not_wait() -> None:
    steps = ((signal.SIGINT, 1000.0), (signal.SIGKILL, 10.0))
    running = Running([("deaf", DEAF)], stop_steps=steps)
    running.wait_for("deaf", "up")
    running.supervisor.request_stop()
    running.wait_for("bringup", "stopping deaf (SIGINT)")
    assert running.stop() == 0


@pytest.mark.parametrize(("code", "expected"), [("raise SystemExit(0)", 0), ("raise SystemExit(2)", 2)])
def test_the_bags_end_ends_everything(code: str, expected: int) -> None:
    running = Running([("node", POLITE), python("bag", code, ends_bringup=True)])
    assert running.join() == expected
    assert ("bringup", f"bag has ended (exit code {expected})") in running.said
    assert all(one.child is None for one in running.supervisor._supervised)


SUPERVISE = """
import os, sys
from perception.bringup.supervised import Command
from perception.bringup.supervisor import Supervisor
Supervisor([Command("node", (sys.executable, "-c", {code!r}))], dict(os.environ)).run()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: the kernel kills the children")
def test_nothing_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISE.format(code=DEAF)], stdout=file)
    wait_until(lambda: "[node] up" in log.read_text())
    (child,) = psutil.Process(supervisor.pid).children()
    supervisor.kill()
    supervisor.wait()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
