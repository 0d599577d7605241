"""A bag as one stream of messages, whatever it is stored in and however much of it is left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from perception.data.bag_types import BagError
from perception.data.recording.compression import unpack_message
from perception.data.recording.files import find_files, temporary_folder, unpacked
from perception.data.recording.mcap_file import McapFile
from perception.data.recording.messages import Channel, Position, RawMessage, StorageFile
from perception.data.recording.sqlite_file import SqliteFile

ANYWHERE: tuple[Position, Position] = (-1, 0, 0), (1 << 62, 0, 0)


class Recording:
    """A bag: a folder, split or not, with or without metadata.yaml, or a file; MCAP or SQLite; compressed or not.

    Attributes:
        channels: topic -> what it carries.
        counts: topic -> messages: as metadata.yaml promises, else as many as the files show.
        span_ns: log times of the first and the last message; None where there are none.
        losses: what was missing when it was opened, one sentence each.

    Raises:
        BagError: there is no such bag, or not one message of it can be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        files = find_files(path)
        self.losses = list(files.losses)
        self._unpacked = temporary_folder()
        self._files: list[StorageFile] = []
        for packed in files.paths:
            self._open(unpacked(packed, Path(self._unpacked.name)))
        self.channels: dict[str, Channel] = {}
        for file in self._files:
            self.channels = {**file.contents.channels, **self.channels}
        if not self.channels:
            raise BagError(f"{path}: not a ROS 2 bag, or nothing of it can be read")
        self.counts = files.counts or self._counted()
        self.span_ns = files.span_ns or self._spanned()

    @property
    def duration_s(self) -> float:
        """From the first to the last message, by the clock that recorded them."""
        return (self.span_ns[1] - self.span_ns[0]) / 1e9 if self.span_ns else 0.0

    def topics_of(self, message_type: str) -> list[str]:
        """Topics that carry a type, in the order of their names."""
        return sorted(topic for topic, channel in self.channels.items() if channel.message_type == message_type)

    def lies_among(self, topic: str, other: str) -> bool:
        """Whether messages of one topic were recorded along with those of another, as far as the files tell."""
        extents = [
            [file.contents.extents[name] for file in self._files if name in file.contents.extents]
            for name in (topic, other)
        ]
        (first, last), (other_first, other_last) = (
            (min((one[0] for one in places), default=ANYWHERE[0]), max((one[1] for one in places), default=ANYWHERE[1]))
            for places in extents
        )
        return first <= other_last and other_first <= last

    def messages(
        self, topics: Collection[str], on_damage: Callable[[str], None] = lambda damage: None
    ) -> Iterator[RawMessage]:
        """Read all that can be read of some topics, in the order of recording.

        Args:
            topics: whose messages.
            on_damage: told one sentence about each place that could not be read.
        """
        for file in self._files:
            if not file.contents.channels.keys().isdisjoint(topics):
                for raw in file.messages(topics, on_damage):
                    yield raw._replace(data=unpack_message(raw.data))

    def _open(self, path: Path) -> None:
        number = len(self._files)
        if path.suffix == ".mcap":
            self._files.append(McapFile(path, number))
        elif path.suffix == ".db3":
            self._files.append(SqliteFile(path, number))
        else:
            raise BagError(f"{path}: not a ROS 2 bag: give its folder, or its .mcap or .db3 file")

    def _counted(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for file in self._files:
            for topic, count in file.contents.counts.items():
                counts[topic] = counts.get(topic, 0) + count
        return counts

    def _spanned(self) -> tuple[int, int] | None:
        spans = [file.contents.span_ns for file in self._files if file.contents.span_ns]
        return (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None
