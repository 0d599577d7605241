"""How far the build of an engine is: told in the log, and the place where it can be stopped."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)
SECONDS_BETWEEN_LINES = 5.0


@dataclass
class _Phase:
    name: str
    parent: str | None
    steps: int
    done: int = 0


class BuildProgress:
    """Follows the nested phases of a build; TensorRT calls it from any of its threads.

    Args:
        what: what is built, for the log.
        stop: the build ends early where this is set, or the program ends.
    """

    def __init__(self, what: str, stop: threading.Event | None = None) -> None:
        self._what = what
        self._stop = stop or threading.Event()
        self._phases: dict[str, _Phase] = {}
        self._lock = threading.Lock()
        self._next_line_s = time.monotonic() + SECONDS_BETWEEN_LINES

    def phase_start(self, name: str, parent: str | None, steps: int) -> None:
        """Begin a phase of so many steps, as a part of another one."""
        with self._lock:
            self._phases[name] = _Phase(name, parent, max(steps, 1))

    def step_complete(self, name: str, step: int) -> bool:
        """Count a step; False asks TensorRT to stop."""
        with self._lock:
            if name in self._phases:
                self._phases[name].done = step + 1
            self._tell()
        return not self.stopped()

    def phase_finish(self, name: str) -> None:
        """End a phase, of which steps may have been left out."""
        with self._lock:
            self._phases.pop(name, None)

    def stopped(self) -> bool:
        """Whether the build is to end early: somebody said so, or the program ends and waits for its threads."""
        return self._stop.is_set() or not threading.main_thread().is_alive()

    def fraction(self) -> float:
        """Tell which part of the running build is done, 0 to 1; the inner phases count as part of their step."""
        done = 0.0
        for phase in reversed(self._phases.values()):
            inside = done if any(other.parent == phase.name for other in self._phases.values()) else 0.0
            done = min((phase.done + inside) / phase.steps, 1.0)
        return done

    def _tell(self) -> None:
        now_s = time.monotonic()
        if now_s < self._next_line_s:
            return
        self._next_line_s = now_s + SECONDS_BETWEEN_LINES
        innermost = next(reversed(self._phases), "begun")
        logger.info("building %s: %.0f %%, %s", self._what, 100 * self.fraction(), innermost.lower())


def make_monitor(api: Any, progress: BuildProgress) -> Any:
    """Make what TensorRT calls; it must live as long as the build.

    TensorRT swallows what is raised in a call of it, Ctrl-C too: it is kept in `failure`, and the build is stopped.
    """

    class Monitor(api.IProgressMonitor):
        def __init__(self) -> None:
            api.IProgressMonitor.__init__(self)
            self.failure: BaseException | None = None

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            self._keep_failure(progress.phase_start, name, parent, steps)

        def step_complete(self, name: str, step: int) -> bool:
            return bool(self._keep_failure(progress.step_complete, name, step)) and self.failure is None

        def phase_finish(self, name: str) -> None:
            self._keep_failure(progress.phase_finish, name)

        def _keep_failure(self, call: Callable[..., Any], *arguments: Any) -> Any:
            try:
                return call(*arguments)
            except BaseException as error:
                self.failure = error
                return None

    return Monitor()
