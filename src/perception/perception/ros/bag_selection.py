"""Open a bag and choose what of it is replayed: topics by pattern, a span of time, latched messages from before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.interfaces import Connection, QosDurability
from rosbags.rosbag2 import Reader, ReaderError

from perception.configuration import ConfigurationError
from perception.data.bag_types import one_line
from perception.ros.read_ahead import BagMessage

CLOCK_TOPIC = "/clock"
STATIC_TRANSFORMS_TOPIC = "/tf_static"


@dataclass(frozen=True)
class Selection:
    """What to replay.

    Attributes:
        topics: patterns as in a shell (`/camera/*`); empty means every topic.
        exclude: patterns of topics to leave out.
        start_s: seconds of the bag to skip.
        duration_s: seconds of the bag to play, None for all.
    """

    topics: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    start_s: float = 0.0
    duration_s: float | None = None


def is_latched(connection: Connection) -> bool:
    """Whether a late subscriber expects the topic's past messages."""
    offered: list[Any] = getattr(connection.ext, "offered_qos_profiles", [])
    recorded = any(qos.durability == QosDurability.TRANSIENT_LOCAL for qos in offered)
    return recorded or connection.topic == STATIC_TRANSFORMS_TOPIC


class SelectedBag(AbstractContextManager["SelectedBag"]):
    """A rosbag2 (MCAP or sqlite3; a folder or a single file), narrowed to a selection.

    Attributes:
        recorded: names of all topics.
        connections: those of the selected topics.
        start_ns, stop_ns: the selected span of the bag's time.

    Raises:
        ConfigurationError: no bag there, not readable, or the selection leaves nothing.
    """

    def __init__(self, path: str | Path, selection: Selection) -> None:
        self.path = Path(path)
        self._reader = self._open()
        self.recorded = sorted({connection.topic for connection in self._reader.connections})
        try:
            self.connections = self._select(selection)
            self.start_ns, self.stop_ns = self._span(selection)
        except BaseException:
            self._reader.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    def _open(self) -> Reader:
        if not self.path.exists():
            raise ConfigurationError(f"{self.path}: no such bag")
        if self.path.suffix == ".bag":
            raise ConfigurationError(f"{self.path}: a ROS 1 bag; convert it with rosbags-convert first")
        try:
            reader = Reader(self.path)
            reader.open()
        except (ReaderError, OSError) as error:
            raise ConfigurationError(f"{self.path}: not a readable rosbag2 ({error})") from None
        return reader

    def _select(self, selection: Selection) -> list[Connection]:
        recorded = self.recorded
        for pattern in selection.topics:
            if not any(fnmatchcase(topic, pattern) for topic in recorded):
                raise ConfigurationError(f"{self.path}: no topic {pattern} (recorded: {', '.join(recorded)})")
        chosen = [
            connection
            for connection in self._reader.connections
            if any(fnmatchcase(connection.topic, pattern) for pattern in selection.topics or ("*",))
            and not any(fnmatchcase(connection.topic, pattern) for pattern in selection.exclude)
        ]
        if not any(connection.msgcount for connection in chosen):
            raise ConfigurationError(
                f"{self.path}: no messages to replay (recorded: {', '.join(recorded) or 'nothing'})"
            )
        return chosen

    def _span(self, selection: Selection) -> tuple[int, int]:
        start_ns = self._reader.start_time + round(selection.start_s * 1e9)
        stop_ns = self._reader.end_time
        if start_ns >= stop_ns:
            raise ConfigurationError(f"{self.path}: lasts {self._reader.duration / 1e9:.1f} s, start is after its end")
        if selection.duration_s is not None:
            stop_ns = min(stop_ns, start_ns + round(selection.duration_s * 1e9))
        return start_ns, stop_ns

    @property
    def duration_s(self) -> float:
        """Seconds that the selected span lasts at rate 1."""
        return (self.stop_ns - self.start_ns) / 1e9

    def messages(self) -> Iterator[BagMessage]:
        """Everything selected, in the order of recording; latched messages from before the start come first.

        Raises:
            ConfigurationError: the bag is damaged at this place.
        """
        try:
            yield from self._latched_before_start()
            for connection, time_ns, data in self._reader.messages(self.connections, self.start_ns, self.stop_ns):
                yield BagMessage(connection.topic, time_ns, data)
        except Exception as error:  # whatever damaged bytes lead to: ReaderError, ZstdError, struct.error ...
            raise ConfigurationError(f"{self.path}: damaged ({one_line(error)})") from None

    def _latched_before_start(self) -> Iterator[BagMessage]:
        latched = [connection for connection in self.connections if is_latched(connection)]
        if latched and self.start_ns > self._reader.start_time:
            for connection, _, data in self._reader.messages(latched, stop=self.start_ns):
                yield BagMessage(connection.topic, self.start_ns, data)
