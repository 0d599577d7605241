"""Handing the newest item to a worker thread."""

from __future__ import annotations

import threading

from perception.nodes.mailbox import Worker


class Gate:
    """A handler that says what it began and goes on only when it is let through."""

    def __init__(self) -> None:
        self.handled: list[int] = []
        self.began = threading.Semaphore(0)
        self.let_through = threading.Semaphore(0)

    def __call__(self, item: int) -> None:
        self.handled.append(item)
        self.began.release()
        self.let_through.acquire()


def test_only_the_newest_waiting_item_is_handled():
    gate = Gate()
    worker = Worker(gate, "test")
    assert worker.put(1) is None
    gate.began.acquire()
    superseded = [worker.put(item) for item in (2, 3, 4)]
    gate.let_through.release(2)
    gate.began.acquire()
    worker.close()

    assert superseded == [None, 2, 3]
    assert gate.handled == [1, 4]


def test_drain_waits_for_the_item_at_hand_and_throws_the_waiting_one_away():
    gate = Gate()
    worker = Worker(gate, "test")
    worker.put(1)
    gate.began.acquire()
    worker.put(2)
    drained: list[int | None] = []
    thread = threading.Thread(target=lambda: drained.append(worker.drain()))
    thread.start()
    assert not drained
    gate.let_through.release()
    thread.join()
    worker.put(3)
    gate.began.acquire()
    gate.let_through.release()
    worker.close()

    assert drained == [2]
    assert gate.handled == [1, 3]


def test_close_ends_an_idle_worker():
    worker = Worker(lambda item: None, "test idle")
    worker.close()

    assert "test idle" not in {thread.name for thread in threading.enumerate()}
