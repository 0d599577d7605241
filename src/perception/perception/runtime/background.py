"""Work that must not take the processor from the frames."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

#: By how much Linux's nice value grows: 3 halves the work's share of a core. More would harm the frames: on a busy
#: machine, work of a very low priority is set aside for long while it holds the interpreter's lock.
NICENESS = 3


def run_in_background(work: Callable[[], Result]) -> Result:
    """Do work at a lower priority, wait for its end, and return what it returns.

    The work has a thread of its own, because an ordinary user may lower a thread's priority but not raise it again.
    Threads that it starts, such as those of OpenMP, inherit the priority; they end with it.

    Raises:
        BaseException: what the work raises.
    """
    results: list[Result] = []
    failures: list[BaseException] = []

    def run() -> None:
        _lower_priority()
        try:
            results.append(work())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, name="background")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


def _lower_priority() -> None:
    """Lower this thread's priority; elsewhere than on Linux, priorities belong to whole processes."""
    if sys.platform == "linux":
        own = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, own, os.getpriority(os.PRIO_PROCESS, own) + NICENESS)  # at most 19
