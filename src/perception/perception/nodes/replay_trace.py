"""When each message of a replay was due, and when it went out, for whoever measures what comes of it."""

from __future__ import annotations

import csv
import struct
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple

from perception.ros.read_ahead import BagMessage

#: seconds and nanoseconds of a header that comes first in a message, after the four bytes that say how it is encoded.
STAMP_OFFSET, STAMP_SIZE = 4, 8


class PublishedMessage(NamedTuple):
    """One message that a replay published.

    Attributes:
        topic: as in the bag.
        time_ns: when it was recorded.
        stamp_ns: its header's.
        published_ns: when it was handed to the middleware, nanoseconds since the epoch of this machine's clock.
        late_ms: how long after it was due.
    """

    topic: str
    time_ns: int
    stamp_ns: int
    published_ns: int
    late_ms: float


class ReplayTrace(AbstractContextManager["ReplayTrace"]):
    """Writes a line for each message whose first part is a header.

    Args:
        path: a CSV file; None: nothing is written.
        topics: those of messages that begin with a header.
    """

    def __init__(self, path: Path | None, topics: Collection[str]) -> None:
        self._topics = frozenset(topics)
        self._file: IO[str] | None = None if path is None else path.open("w", 1, newline="", encoding="utf-8")
        self._rows = None if self._file is None else csv.writer(self._file)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, message: BagMessage, published_ns: int, late_ms: float) -> None:
        """Note one message."""
        if self._rows is not None and message.topic in self._topics:
            stamp_ns = stamp_ns_of(message.data)
            self._rows.writerow((message.topic, message.time_ns, stamp_ns, published_ns, f"{late_ms:.3f}"))


def read_trace(path: Path) -> Iterator[PublishedMessage]:
    """Read what a replay published, in that order."""
    with path.open(newline="", encoding="utf-8") as file:
        for topic, time_ns, stamp_ns, published_ns, late_ms in csv.reader(file):
            yield PublishedMessage(topic, int(time_ns), int(stamp_ns), int(published_ns), float(late_ms))


def stamp_ns_of(data: bytes) -> int:
    """The stamp of a CDR message that begins with a std_msgs/Header; 0 where it is cut short."""
    if len(data) < STAMP_OFFSET + STAMP_SIZE:
        return 0
    # The second byte: whether numbers are little-endian (DDS-XTypes 1.3, 7.6.2.1.2).
    seconds, nanoseconds = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, STAMP_OFFSET)
    return int(seconds * 1_000_000_000 + nanoseconds)
