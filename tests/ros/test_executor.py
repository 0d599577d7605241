"""The executor hands each callback to its threads once, and sleeps in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import rclpy
from processes import wait_until
from rclpy.context import Context
from rclpy.node import Node

from perception.ros.executor import JoiningExecutor

CALLBACKS = 40


@pytest.fixture
def node() -> Iterator[Node]:
    context = Context()
    rclpy.init(context=context)
    node = Node("spun", context=context)
    yield node
    node.destroy_node()
    rclpy.try_shutdown(context=context)


class CountingExecutor(JoiningExecutor):
    """Counts how often a handler is given to a thread."""

    submitted = 0

    def spin_once(self, timeout_sec: float | None = None) -> None:
        submit = self._pool.submit

        def count(*arguments: object) -> object:
            self.submitted += 1
            return submit(*arguments)

        self._pool.submit = count  # type: ignore[method-assign,assignment]
        super().spin_once(timeout_sec)
        self._pool.submit = submit  # type: ignore[method-assign]


def test_a_callback_is_handed_over_once_while_python_is_busy(node: Node) -> None:
    """rclpy yields a handler again and again until a thread has begun it, which takes as long as the GIL is held."""
    calls: list[float] = []
    stop = threading.Event()
    node.create_timer(0.005, lambda: calls.append(time.monotonic()))
    executor = CountingExecutor(2, lambda error: None, node.context)
    executor.add_node(node)

    def spin() -> None:
        while not stop.is_set():
            executor.spin_once(timeout_sec=0.1)

    def burn() -> None:
        while not stop.is_set():
            sum(range(1000))

    threads = [threading.Thread(target=spin), threading.Thread(target=burn)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(calls) >= CALLBACKS, f"{CALLBACKS} callbacks")
    stop.set()
    for thread in threads:
        thread.join()
    executor.shutdown()
    # A few may be handed over as the test ends, or when a thread is begun just as it is looked for.
    assert executor.submitted <= len(calls) * 1.2
