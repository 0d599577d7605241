"""Child processes of a command: quiet while they work, quoted when they fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

STOP_TIMEOUT_S = 15.0
TAIL_LINES = 15


#: Starts the command line of this very installation, whatever the PATH says.
PERCEPTION = (sys.executable, "-m", "perception.cli")


class GraphError(RuntimeError):
    """The graph failed; the message says why, with the last lines of the child that failed."""

    @property
    def sentence(self) -> str:
        """Why, without these lines."""
        return str(self).partition("\n")[0]


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log, indented, for an error message."""
    text = log.read_text(errors="replace").strip() if log.is_file() else ""
    last = text.splitlines()[-lines:]
    return "\n".join(f"    {line}" for line in last or ["(it printed nothing)"]) + f"\n  whole log: {log}"


class Child:
    """A `perception` subcommand in a process of its own, its output in a log; leaving the `with` block ends it.

    Args:
        words: the command line after `perception`.
        log: where its output goes.
        environment: variables to set for it, beside this process's.
        program: what the words are given to.
    """

    def __init__(
        self,
        words: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        program: Sequence[str] = PERCEPTION,
    ) -> None:
        self.log = log
        self._name = words[0]
        with log.open("w") as output:
            # A session of its own: Ctrl-C reaches this process alone, which then ends its children in order.
            self._process = subprocess.Popen(
                [*program, *words],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
                start_new_session=True,
            )

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            # Not SIGINT: shells start background jobs, and with them all children, with that ignored.
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def is_running(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def failure(self, what: str) -> GraphError:
        """An error that quotes the child's last lines."""
        return GraphError(f"{what}\n{tail(self.log)}")

    def last_line(self) -> str:
        """What it said last."""
        return next(reversed(self.log.read_text(errors="replace").strip().splitlines()), "")

    def check(self) -> None:
        """Raise GraphError unless the child runs or has ended well."""
        code = self._process.poll()
        if code:
            raise self.failure(f"`perception {self._name}` ended with code {code}")

    def wait(self, timeout_s: float) -> None:
        """Wait for the end; raises GraphError when it fails or takes longer."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise self.failure(f"`perception {self._name}` still runs after {timeout_s:.0f} s") from None
        self.check()
