"""A whole file of a bag through rosbags, where the library `mcap` is not installed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from rosbags.rosbag2 import Reader

from perception.data.bag_types import BagError
from perception.data.recording.messages import Channel, Contents, RawMessage


class RosbagsFile:
    """One .mcap file that is whole; messages come in the order of their log times."""

    def __init__(self, path: Path, number: int) -> None:
        self._number = number
        self._reader = Reader(path)
        try:
            self._reader.open()
        except Exception as error:
            raise BagError(f"{path}: install mcap to read what is left of a damaged file ({error})") from None
        self._channels = {
            one.topic: Channel(one.topic, one.msgtype, one.msgdef.data) for one in self._reader.connections
        }
        counts = {topic: information.msgcount for topic, information in self._reader.topics.items()}
        span_ns = (self._reader.start_time, self._reader.end_time - 1) if self._reader.message_count else None
        self.contents = Contents(dict(self._channels), counts, span_ns)

    def messages(self, topics: Collection[str], on_damage: Callable[[str], None]) -> Iterator[RawMessage]:
        """Read all messages of some topics; see StorageFile."""
        connections = [one for one in self._reader.connections if one.topic in topics]
        for one, time_ns, data in self._reader.messages(connections) if connections else ():
            yield RawMessage((self._number, 0, time_ns), self._channels[one.topic], time_ns, data)
