"""Hand the newest item from the executor to a worker thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Worker(Generic[Item]):
    """A thread that handles one item at a time, always the newest.

    Native code of the handler releases the interpreter's lock, so the executor goes on receiving meanwhile.

    Args:
        handle: called in the thread with each item; it must not raise.
        name: the thread's name, as debuggers show it.
    """

    def __init__(self, handle: Callable[[Item], None], name: str) -> None:
        self._handle = handle
        self._changed = threading.Condition()
        self._waiting: Item | None = None
        self._busy = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name)
        self._thread.start()

    def put(self, item: Item) -> Item | None:
        """Leave an item; returns the one that it replaced, which will now never be handled."""
        with self._changed:
            superseded, self._waiting = self._waiting, item
            self._changed.notify_all()
        return superseded

    def drain(self) -> Item | None:
        """Throw away the waiting item, wait for the one being handled, and return what was thrown away."""
        with self._changed:
            thrown_away, self._waiting = self._waiting, None
            self._changed.wait_for(lambda: not self._busy)
        return thrown_away

    def close(self) -> None:
        """End the thread after the item that it is handling."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while (item := self._next()) is not None:
            self._handle(item)
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _next(self) -> Item | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._waiting is not None)
            if self._closing:
                return None
            item, self._waiting = self._waiting, None
            self._busy = True
            return item
