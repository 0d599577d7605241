"""An executor whose threads have ended when `shutdown` returns."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rclpy.executors import (
    ConditionReachedException,
    Executor,
    ExternalShutdownException,
    ShutdownException,
    TimeoutException,
)


class JoiningExecutor(Executor):
    """Runs callbacks in a pool of threads and ends them before anything they use is destroyed.

    rclpy's MultiThreadedExecutor destroys its guard condition first, while callbacks may still need it, and shows an
    exception of a callback only when a later one is started.

    Args:
        threads: at least the number of callbacks that may run at the same time.
        on_failure: called with what a callback raised, in the thread that ran it.
    """

    def __init__(self, threads: int, on_failure: Callable[[BaseException], None]) -> None:
        super().__init__()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="executor")
        self._on_failure = on_failure

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Wait for one callback to be ready and hand it to a thread."""
        try:
            handler, _, _ = self.wait_for_ready_callbacks(timeout_sec=timeout_sec)
        except (ConditionReachedException, ExternalShutdownException, ShutdownException, TimeoutException):
            return
        self._pool.submit(self._execute, handler)

    def _execute(self, handler: Any) -> None:
        handler()
        error = handler.exception()
        if error is not None:
            traceback.print_exception(error)
            self._on_failure(error)

    def shutdown(self, timeout_sec: float | None = None, **_: Any) -> bool:
        """Wait for the running callbacks, then free what they used; nobody may be spinning any more."""
        self._pool.shutdown(wait=True)
        return super().shutdown(timeout_sec)
