"""Messages as a bag stores them, read by the definitions that the bag brings along."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from perception.data.bag_types import BagError, one_line, typestore

#: File, part of the file, message in that part: where a message lies, whichever others are read.
Position = tuple[int, int, int]


@dataclass(frozen=True)
class Channel:
    """What a topic carries.

    Attributes:
        topic: its name.
        message_type: such as sensor_msgs/msg/PointCloud2.
        definition: the type as it was when the bag was recorded, with all that it contains; empty where unknown.
        qos: the profiles that its publishers offered, as rosbag2 writes them.
    """

    topic: str
    message_type: str
    definition: str = ""
    qos: str = ""


class RawMessage(NamedTuple):
    """A recorded message."""

    position: Position
    channel: Channel
    log_time_ns: int
    data: bytes


@dataclass
class Contents:
    """What a file of a bag says, or shows, that it holds.

    Attributes:
        channels: one a topic; the first where several differ.
        counts: topic -> messages.
        span_ns: log times of the first and the last message; None where there are none.
        extents: topic -> from where to where in the file its messages lie, at least.
    """

    channels: dict[str, Channel] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    span_ns: tuple[int, int] | None = None
    extents: dict[str, tuple[Position, Position]] = field(default_factory=dict)

    def extend(self, topic: str, first: Position, last: Position) -> None:
        """Note that messages of a topic lie between two places."""
        known_first, known_last = self.extents.get(topic, (first, last))
        self.extents[topic] = min(known_first, first), max(known_last, last)


class StorageFile(Protocol):
    """One file of a bag."""

    contents: Contents

    def messages(self, topics: Collection[str], on_damage: Callable[[str], None]) -> Iterator[RawMessage]:
        """Read what can be read of some topics, in the order of recording; damage is told, never raised."""
        ...


def decode(message: RawMessage) -> Any:
    """Read a message by the definition that was recorded with it; without one, as Humble to Kilted define its type.

    Raises:
        BagError: its type is not known, or its bytes are no such message.
    """
    channel = message.channel
    try:
        return store_of(channel).deserialize_cdr(message.data, channel.message_type)
    except Exception as error:  # rosbags raises whatever damaged bytes lead to: struct.error, ValueError, KeyError ...
        raise BagError(f"not a {channel.message_type} ({one_line(error)})") from None


def store_of(channel: Channel) -> Typestore:
    """Give the message types of a channel: as recorded, or, where the bag does not say, as Humble to Kilted have them.

    Raises:
        Exception: the definition that was recorded is none; rosbags raises many kinds.
    """
    return _store(channel.message_type, channel.definition)


@lru_cache(maxsize=256)
def _store(message_type: str, definition: str) -> Typestore:
    # A definition in IDL, which some DDS recorders write, is not read: the types of interest are standard ones.
    if not definition or definition.lstrip("=\n").startswith("IDL:"):
        return typestore()
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(definition, message_type))
    return store
