"""What lies around a cloud in a bag, read a little ahead of it and never held for long."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from perception.data.bag_types import BagError, stamp_ns_of
from perception.data.recording.messages import Position, RawMessage, decode

#: Stamps that go back by more than this have jumped.
JUMP_NS = 1_000_000_000
By = Literal["place", "log time", "stamp"]


class Nearby(NamedTuple):
    """A message near a cloud.

    Attributes:
        topic: where it was recorded.
        message: read.
        time_ns: when, by the clock in which it is compared with the cloud.
    """

    topic: str
    message: Any
    time_ns: int


class ReadAhead:
    """Some topics of a bag, read as the clouds are, but a little further.

    By their places, messages are near a cloud when they lie before it in the file, or after it and were recorded
    within the horizon: clocks may jump as they like. Messages that do not lie among the clouds, or are in another bag,
    are near by their times alone: log times, or stamps. Those are read anew when the clouds' times jump back.

    Args:
        read: begin to read the topics.
        by: what tells that a message is near.
        horizon_ns: how far from a cloud it may be.
        most_ahead: by their places, never read more messages than this beyond a cloud.
    """

    def __init__(
        self, read: Callable[[], Iterator[RawMessage]], by: By, horizon_ns: int, most_ahead: int | None = None
    ) -> None:
        self._read = read
        self._messages = read()
        self._by = by
        self._horizon_ns = horizon_ns
        self._most_ahead = most_ahead
        self._ahead: deque[Position] = deque()
        self._pending: tuple[Position, Nearby] | None = None
        self._last_ns: int | None = None
        self.unreadable: Counter[str] = Counter()

    def until(self, cloud: RawMessage, stamp_ns: int) -> Iterator[Nearby]:
        """Yield what has come near with the next cloud."""
        now_ns = stamp_ns if self._by == "stamp" else cloud.log_time_ns
        if self._by != "place" and self._last_ns is not None and now_ns < self._last_ns - JUMP_NS:
            self._messages, self._pending = self._read(), None
        self._last_ns = now_ns
        while self._ahead and self._ahead[0] < cloud.position:
            self._ahead.popleft()
        while (pending := self._pending or self._next()) is not None:
            self._pending = pending
            position, item = pending
            is_behind, is_near = self._place(position, item.time_ns, cloud.position, now_ns)
            if not is_behind and not is_near:
                return
            if is_near or self._by != "stamp":
                yield item
            if self._by == "place" and not is_behind:
                self._ahead.append(position)
            self._pending = None

    def _place(self, position: Position, time_ns: int, cloud: Position, now_ns: int) -> tuple[bool, bool]:
        """Whether a message is behind the cloud, and whether it is near it."""
        is_near = abs(time_ns - now_ns) <= self._horizon_ns
        if self._by != "place":
            return time_ns < now_ns - self._horizon_ns, is_near
        is_full = self._most_ahead is not None and len(self._ahead) >= self._most_ahead
        return position < cloud, is_near and not is_full

    def _next(self) -> tuple[Position, Nearby] | None:
        for raw in self._messages:
            try:
                message = decode(raw)
                time_ns = stamp_ns_of(message) if self._by == "stamp" else raw.log_time_ns
            except (BagError, AttributeError):
                self.unreadable[raw.channel.topic] += 1
                continue
            return raw.position, Nearby(raw.channel.topic, message, time_ns)
        return None
