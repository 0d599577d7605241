"""Bags as they come from the field: other storages, compressions and definitions, split, and damaged."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import lz4.frame
import yaml
import zstandard
from mcap.writer import CompressionType, IndexType, Writer
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as RosbagWriter
from rosbags.typesys.store import Typestore

from perception.data.bag_types import Topics, typestore
from perception.data.bag_writer import Entry, drive_messages
from perception.data.drive import DriveFrame


def entries_of(frames: Iterable[DriveFrame]) -> list[Entry]:
    """The messages of a drive: log time, topic, type, message."""
    return [entry for entries in drive_messages(frames, Topics()) for entry in sorted(entries, key=lambda one: one[0])]


def write_mcap(
    path: Path,
    entries: Iterable[Entry],
    compression: str = "zstd",
    chunk_size: int = 4096,
    has_index: bool = True,
    has_message_index: bool = True,
    is_chunked: bool = True,
    types: Typestore | None = None,
) -> Path:
    """Write one MCAP file as other recorders do; `types` says how messages are defined there."""
    types = types or typestore()
    with path.open("wb") as file:
        options = {} if has_index else {"repeat_channels": False, "repeat_schemas": False, "use_statistics": False}
        indexes = IndexType.ALL if has_message_index else IndexType.CHUNK
        writer = Writer(
            file,
            chunk_size,
            CompressionType[compression.upper()],
            indexes if has_index else IndexType.NONE,
            use_chunking=is_chunked,
            use_summary_offsets=has_index,
            **options,
        )
        writer.start(profile="ros2", library="a recorder")
        schemas: dict[str, int] = {}
        channels: dict[str, int] = {}
        for log_time_ns, topic, message_type, message in entries:
            if message_type not in schemas:
                definition = types.generate_msgdef(message_type, ros_version=2)[0].encode()
                schemas[message_type] = writer.register_schema(message_type, "ros2msg", definition)
            if topic not in channels:
                channels[topic] = writer.register_channel(topic, "cdr", schemas[message_type])
            data = bytes(types.serialize_cdr(message, message_type))
            writer.add_message(channels[topic], log_time_ns, data, log_time_ns)
        writer.finish()
    return path


def write_sqlite(folder: Path, entries: Iterable[Entry], compression: str = "", types: Typestore | None = None) -> Path:
    """Write a folder with SQLite; `compression` such as file-zstd or message-lz4."""
    types = types or typestore()
    with RosbagWriter(folder, version=8, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connections = {}
        mode, _, kind = compression.partition("-")
        for log_time_ns, topic, message_type, message in entries:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, message_type, typestore=types)
            data = bytes(types.serialize_cdr(message, message_type))
            writer.write(connections[topic], log_time_ns, packed(data, kind) if mode == "message" else data)
    if mode == "file":
        (file,) = folder.glob("*.db3")
        file.with_name(f"{file.name}.{kind}").write_bytes(packed(file.read_bytes(), kind))
        file.unlink()
    if compression:
        with metadata_of(folder) as information:
            information["compression_mode"], information["compression_format"] = mode.upper(), kind
            if mode == "file":
                information["relative_file_paths"] = [f"{name}.{kind}" for name in information["relative_file_paths"]]
    return folder


def as_mcap(database: Path, path: Path) -> Path:
    """Copy a SQLite bag's messages, however they are stored, into MCAP."""
    with sqlite3.connect(database) as source, path.open("wb") as file:
        writer = Writer(file)
        writer.start(profile="ros2", library="a recorder")
        channels = {}
        for number, topic, kind, text in source.execute(
            "SELECT topics.id, name, type, encoded_message_definition FROM topics "
            "JOIN message_definitions ON type = topic_type"
        ):
            channels[number] = writer.register_channel(
                topic, "cdr", writer.register_schema(kind, "ros2msg", text.encode())
            )
        for number, time_ns, data in source.execute("SELECT topic_id, timestamp, data FROM messages ORDER BY id"):
            writer.add_message(channels[number], time_ns, data, time_ns)
        writer.finish()
    return path


def packed(data: bytes, kind: str) -> bytes:
    return zstandard.compress(data) if kind == "zstd" else lz4.frame.compress(data)


def split(folder: Path, parts: list[Path]) -> Path:
    """Put bags with one file each into one folder, as if a recorder had split them."""
    folder.mkdir()
    merged: dict = {}
    for number, part in enumerate(parts):
        with metadata_of(part) as information:
            (name,) = information["relative_file_paths"]
            target = folder / f"{folder.name}_{number}{Path(name).suffix}"
            shutil.move(part / name, target)
            start_ns = information["starting_time"]["nanoseconds_since_epoch"]
            end_ns = start_ns + information["duration"]["nanoseconds"]
            if not merged:
                merged = {**information, "relative_file_paths": [target.name]}
                continue
            merged["relative_file_paths"].append(target.name)
            merged["duration"] = {
                "nanoseconds": end_ns - merged["starting_time"]["nanoseconds_since_epoch"],
            }
            merged["message_count"] += information["message_count"]
            counts = {one["topic_metadata"]["name"]: one for one in merged["topics_with_message_count"]}
            for one in information["topics_with_message_count"]:
                counts[one["topic_metadata"]["name"]]["message_count"] += one["message_count"]
    (folder / "metadata.yaml").write_text(yaml.safe_dump({"rosbag2_bagfile_information": merged}))
    return folder


class metadata_of:  # noqa: N801 - reads as a function
    """The metadata of a bag, for changing."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "metadata.yaml"

    def __enter__(self) -> dict:
        self.content = yaml.safe_load(self.path.read_text())
        return self.content["rosbag2_bagfile_information"]

    def __exit__(self, *_: object) -> None:
        self.path.write_text(yaml.safe_dump(self.content))


def cut(path: Path, share: float) -> Path:
    """Leave only the first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def without_definitions(folder: Path) -> Path:
    """Make a SQLite bag look as Humble's, which holds no definitions."""
    (file,) = folder.glob("*.db3")
    database = sqlite3.connect(file)
    database.executescript("DROP TABLE message_definitions; UPDATE schema SET schema_version = 3;")
    database.commit()
    database.close()
    return folder
