"""One child process: started so that it never outlives its parent, its output relayed line by line."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

PR_SET_PDEATHSIG = 1
# Loaded before any fork: between fork and exec a child must not import or allocate more than it has to.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with(parent: int) -> None:
    """Run in the child: have the kernel kill it when the parent dies in whatever way."""
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:
            os._exit(1)


def exit_text(code: int) -> str:
    """What an exit code of `subprocess` means."""
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"


class ChildProcess:
    """A running child in a session of its own, so that Ctrl-C reaches only the parent, which then stops in order.

    Start it from the main thread: the kernel's parent-death signal is tied to the thread that forked.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        parent = os.getpid()
        self.started_s = time.monotonic()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
            preexec_fn=lambda: _die_with(parent),
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout
        os.set_blocking(self._output.fileno(), False)
        self._partial_line = b""
        #: Whether more output may come.
        self.output_open = True

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def fileno(self) -> int:
        """The pipe with the output, for `select`."""
        return self._output.fileno()

    @property
    def uptime_s(self) -> float:
        """How long ago it was started."""
        return time.monotonic() - self.started_s

    def exit_code(self) -> int | None:
        """The exit code, negative for a signal, or None while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and whatever it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def lines(self) -> Iterator[str]:
        """What it has printed since the last call, in whole lines."""
        while True:
            try:
                data = os.read(self._output.fileno(), 65536)
            except BlockingIOError:
                return
            if not data:
                self.output_open = False
                return
            *complete, self._partial_line = (self._partial_line + data).split(b"\n")
            yield from (line.decode(errors="replace") for line in complete)

    def close(self) -> Iterator[str]:
        """Yield what is left of the output of a process that has ended, and release the pipe."""
        yield from self.lines()
        if self._partial_line:
            yield self._partial_line.decode(errors="replace")
        self._output.close()
