"""Ctrl-C that ends a long run between two items, so that what was done so far is whole and can be reported."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator
from types import FrameType, TracebackType
from typing import Any, TypeVar

SIGNALS = (signal.SIGINT, signal.SIGTERM)

Item = TypeVar("Item")


class Interruption:
    """Waits for items until SIGINT or SIGTERM, as a `with` block in the main thread.

    The first signal ends the wait, or the loop after the item at hand. A stream that was waited for may still have
    items to give, which it made before: all of them are taken. A second signal ends the process as usual.

    Attributes:
        signal: the number of the signal that came; 0: none.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._waits = self._is_over = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        self._before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def items(self, stream: Generator[Item, None, None]) -> Iterator[Item]:
        """Give the items of a generator, which is closed in the end."""
        try:
            while not self._is_over:
                self._waits = True
                try:
                    item = next(stream)
                except StopIteration:
                    return
                finally:
                    self._waits = False
                yield item
        except KeyboardInterrupt:  # ours, or what a library made of it
            if not self.signal:
                raise
        finally:
            stream.close()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self._restore()
        if self._waits:
            raise KeyboardInterrupt
        self._is_over = True

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
