"""A bag that a replay can read and nodes can understand: the bag itself, or a copy of what can be saved of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perception.configuration import ConfigurationError
from perception.data.bag_types import BagError, typestore
from perception.data.new_bag import NewBag
from perception.data.recording.messages import Channel, RawMessage, decode, store_of
from perception.data.recording.recording import Recording
from perception.ros.bag_selection import SelectedBag, Selection


def replayable(path: Path, topics: Sequence[str], copy: Path) -> Path:
    """Give the bag, or where it is damaged or its messages are of other definitions than this machine's, a copy.

    Args:
        path: the bag.
        topics: that are wanted; those that it does not have are left out.
        copy: where a copy goes, in place of an older one.

    Raises:
        BagError: there is no such bag, or not one message of it can be read.
    """
    recording = Recording(path)
    channels = [recording.channels[topic] for topic in topics if topic in recording.channels]
    if _can_be_replayed(path, channels) and all(map(_is_understood, channels)):
        return path
    bag = NewBag(copy, compression=None, overwrite=True)
    try:
        for channel in channels:
            bag.announce(channel.topic, channel.message_type)
        for raw in recording.messages([channel.topic for channel in channels]):
            _write(bag, raw)
        bag.finish()
    finally:
        bag.discard()
    return copy


def _can_be_replayed(path: Path, channels: Sequence[Channel]) -> bool:
    try:
        with SelectedBag(path, Selection(topics=tuple(channel.topic for channel in channels))):
            return True
    except ConfigurationError:
        return False


def _is_understood(channel: Channel) -> bool:
    """Whether messages are laid out as nodes expect them; a replay publishes the recorded bytes."""
    name = channel.message_type
    return store_of(channel).hash_rihs01(name) == typestore().hash_rihs01(name)


def _write(bag: NewBag, raw: RawMessage) -> None:
    channel, data = raw.channel, raw.data
    if not _is_understood(channel):
        try:
            message = _as_known(decode(raw), channel.message_type)
            data = bytes(typestore().serialize_cdr(message, channel.message_type))
        except (BagError, AttributeError):
            return  # it cannot be read, or lacks what nodes need: it is no frame either
    bag.write_recorded(channel.topic, raw.log_time_ns, data)


def _as_known(message: Any, message_type: str) -> Any:
    """The fields of a message that its type has here, and no others."""
    known = typestore().types[message_type]
    _, fields = typestore().fielddefs[message_type]
    return known(**{name: _value_as_known(getattr(message, name)) for name, _ in fields})


def _value_as_known(value: Any) -> Any:
    if isinstance(value, list):
        return [_value_as_known(one) for one in value]
    kind = getattr(value, "__msgtype__", None)
    return value if kind is None else _as_known(value, kind)
