"""A rosbag2 bag in MCAP that appears under its name only when it is whole."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal

from rosbags.interfaces import Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys.store import Typestore

from perception.configuration import ConfigurationError
from perception.data.bag_types import typestore

#: rosbag2's metadata version: 8 is understood by Humble, Jazzy and Kilted alike; 9 only by the later ones.
METADATA_VERSION: Literal[8, 9] = 8


class NewBag:
    """A bag that is written beside its place; `finish` puts it there, `discard` leaves nothing.

    Args:
        path: the folder to make.
        compression: "zstd" or None.
        overwrite: replace a bag that is there, once the new one is whole.

    Raises:
        ConfigurationError: `path` exists, or the compression is not known.
    """

    def __init__(self, path: Path, compression: str | None, overwrite: bool) -> None:
        if compression not in (None, "zstd"):
            raise ConfigurationError(f"compression '{compression}' is not known: use zstd or none")
        _refuse_to_replace(path, overwrite)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        self._writer = Writer(self._beside / path.name, version=METADATA_VERSION, storage_plugin=StoragePlugin.MCAP)
        if compression == "zstd":
            # Inside the MCAP file, where ros2 bag, Foxglove and the mcap tools read it without help.
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._writer.open()
        self._connections: dict[str, Connection] = {}

    @property
    def topics(self) -> set[str]:
        """Topics that something was written to, or that were added."""
        return set(self._connections)

    def add_topic(self, topic: str, message_type: str, types: Typestore, is_latched: bool = False) -> None:
        """Add a topic whose messages are written as they were recorded; `types` defines them."""
        qos = [quality_of_service(is_latched)]
        self._connections[topic] = self._writer.add_connection(
            topic, message_type, typestore=types, offered_qos_profiles=qos
        )

    def announce(self, topic: str, message_type: str) -> None:
        """Add a topic of messages of `bag_types.new`, unless it is there."""
        if topic not in self._connections:
            self.add_topic(topic, message_type, typestore(), topic == "/tf_static")

    def write(self, topic: str, message_type: str, log_time_ns: int, message: Any) -> None:
        """Write a message of `bag_types.new`."""
        self.announce(topic, message_type)
        self.write_recorded(topic, log_time_ns, typestore().serialize_cdr(message, message_type))

    def write_recorded(self, topic: str, log_time_ns: int, data: bytes | memoryview) -> None:
        """Write a message's bytes to a topic that was added."""
        self._writer.write(self._connections[topic], log_time_ns, data)

    def finish(self) -> None:
        """End the bag and give it its name."""
        self._writer.close()
        if self._path.exists():
            self._path.rename(self._beside / "replaced")
        (self._beside / self._path.name).rename(self._path)

    def discard(self) -> None:
        """Remove what was written and not finished."""
        shutil.rmtree(self._beside, ignore_errors=True)


def _refuse_to_replace(path: Path, overwrite: bool) -> None:
    if not path.exists():
        return
    if not overwrite:
        raise ConfigurationError(f"{path} exists already: choose another name or allow overwriting")
    if not (path / "metadata.yaml").is_file():
        raise ConfigurationError(f"{path} is not a bag, so it is not overwritten: choose another name")


def quality_of_service(is_latched: bool) -> Qos:
    """The profile of a usual publisher: reliable, and latched for what holds until further notice."""
    forever = QosTime(9223372036, 854775807)
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1 if is_latched else 10,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if is_latched else QosDurability.VOLATILE,
        deadline=forever,
        lifespan=forever,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=forever,
        avoid_ros_namespace_conventions=False,
    )
