"""An executor whose threads have ended when `shutdown` returns."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rclpy.context import Context
from rclpy.executors import (
    ConditionReachedException,
    Executor,
    ExternalShutdownException,
    ShutdownException,
    TimeoutException,
)

#: For how long a callback may wait for a free thread before the executor looks for others again.
HAND_OVER_TIMEOUT_S = 0.1


class JoiningExecutor(Executor):
    """Runs callbacks in a pool of threads and ends them before anything they use is destroyed.

    rclpy's MultiThreadedExecutor destroys its guard condition first, while callbacks may still need it, shows an
    exception of a callback only when a later one is started, and hands one callback over again and again, at full
    load, until a thread has begun it.

    Args:
        threads: at least the number of callbacks that may run at the same time.
        on_failure: called with what a callback raised, in the thread that ran it.
        context: rclpy's; by default the process's one.
    """

    def __init__(
        self, threads: int, on_failure: Callable[[BaseException], None], context: Context | None = None
    ) -> None:
        super().__init__(context=context)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="executor")
        self._on_failure = on_failure

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Wait for one callback to be ready and hand it to a thread."""
        try:
            handler, _, _ = self.wait_for_ready_callbacks(timeout_sec=timeout_sec)
        except (ConditionReachedException, ExternalShutdownException, ShutdownException, TimeoutException):
            return
        # rclpy yields a handler until it is being executed. Waiting here gives the interpreter's lock to the thread at
        # once; looping would keep it for 5 ms a callback, and a network beside it runs at a tenth of its speed.
        begun = threading.Event()
        self._pool.submit(self._execute, handler, begun)
        begun.wait(HAND_OVER_TIMEOUT_S)

    def _execute(self, handler: Any, begun: threading.Event) -> None:
        begun.set()
        handler()
        error = handler.exception()
        if error is not None:
            traceback.print_exception(error)
            self._on_failure(error)

    def shutdown(self, timeout_sec: float | None = None, **_: Any) -> bool:
        """Wait for the running callbacks, then free what they used; nobody may be spinning any more."""
        self._pool.shutdown(wait=True)
        return super().shutdown(timeout_sec)
