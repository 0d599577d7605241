"""Start node processes and wait for conditions; used by every test that needs a real graph."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

#: Importing torch on a busy two-core machine takes most of this.
START_TIMEOUT_S = 90.0

#: What no process on a robot may need.
REFUSED = ("torch", "scipy", "matplotlib", "open3d")
SITECUSTOMIZE = f"""
import importlib.abc, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {REFUSED!r}:
            raise ImportError(f"{{name}} is not for robots")
sys.meta_path.insert(0, Refuse())
"""


def wait_until(condition: Callable[[], Any], what: str, timeout_s: float = 20.0) -> Any:
    """Poll `condition` until it is true and return its value; fail the test with `what` otherwise."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {timeout_s:.0f} s in vain for: {what}")


def parameter_arguments(parameters: dict[str, Any]) -> list[str]:
    """The command line that sets ROS parameters: `-p name:=value` for each."""
    words: list[str] = []
    for name, value in parameters.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        words += ["-p", f"{name}:={text}"]
    return words


class NodeProcess:
    """A node in its own process, with its output in a file; leaving the `with` block ends it.

    Args:
        module: the Python module that is run with `-m`, or the path of a script.
        log: where stdout and stderr go.
        parameters: ROS parameters.
        arguments: words before `--ros-args`.
        remappings: topic or node name -> new name.
    """

    def __init__(
        self,
        module: str,
        log: Path,
        parameters: dict[str, Any] | None = None,
        arguments: Sequence[str] = (),
        remappings: dict[str, str] | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        start = [module] if module.endswith(".py") else ["-m", module]
        ros = parameter_arguments(parameters or {})
        ros += [word for old, new in (remappings or {}).items() for word in ("-r", f"{old}:={new}")]
        self.command = [sys.executable, *start, *arguments, *(["--ros-args", *ros] if ros else [])]
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                self.command,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1", **(environment or {})},
            )

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self.is_running():
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if error is not None:
            print(f"--- {self.log.name}\n{self.output()[-4000:]}")

    def is_running(self) -> bool:
        """Whether the process still lives."""
        return self.process.poll() is None

    def output(self) -> str:
        """Everything it has printed so far."""
        return self.log.read_text(errors="replace")

    def stop(self, number: signal.Signals = signal.SIGINT, timeout_s: float = 5.0) -> int:
        """Send a signal and return the exit code; fail the test when it does not end in time."""
        self.process.send_signal(number)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running {timeout_s:.0f} s after {number.name}") from None
