"""Read a bag in a thread of its own, so that decompression never holds up publishing."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

#: About sixteen clouds of 4 MB: 1.6 s of a 10 Hz LiDAR, more than any chunk takes to decompress.
DEFAULT_LIMIT_BYTES = 64 << 20


class BagMessage(NamedTuple):
    """A message as recorded: its topic, when it was received (nanoseconds), and its CDR bytes."""

    topic: str
    time_ns: int
    data: bytes


class ReadAhead:
    """Iterate over `messages`, which a thread fetches at most `limit_bytes` (and one message) ahead.

    An error of the source is raised to the consumer at its place in the order. Use it in a `with` block: leaving ends
    the thread, wherever the iteration stands.
    """

    def __init__(self, messages: Iterable[BagMessage], limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self._source = messages
        self._limit_bytes = limit_bytes
        self._waiting: deque[BagMessage] = deque()
        self._waiting_bytes = 0
        self._error: Exception | None = None
        self._finished = False
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._fetch, name="bag-reader", daemon=True)
        self._thread.start()

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def __iter__(self) -> Iterator[BagMessage]:
        while (message := self._take()) is not None:
            yield message

    def wait_for_first(self) -> None:
        """Return when the first message (or the end) is at hand, so that opening the bag delays no message."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._finished)

    def _fetch(self) -> None:
        try:
            for message in self._source:
                if not self._put(message):
                    return
        except Exception as error:
            self._error = error
        finally:
            with self._changed:
                self._finished = True
                self._changed.notify_all()

    def _put(self, message: BagMessage) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting_bytes < self._limit_bytes)
            if self._closed:
                return False
            self._waiting.append(message)
            self._waiting_bytes += len(message.data)
            self._changed.notify_all()
            return True

    def _take(self) -> BagMessage | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._finished)
            if not self._waiting:
                if self._error is not None:
                    raise self._error
                return None
            message = self._waiting.popleft()
            self._waiting_bytes -= len(message.data)
            self._changed.notify_all()
            return message
