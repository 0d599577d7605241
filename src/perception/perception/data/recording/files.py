"""Which files a bag consists of, and what its metadata.yaml promises."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from perception.configuration import ConfigurationError, load_yaml
from perception.data.bag_types import BagError
from perception.data.recording.compression import COMPRESSIONS, unpack_file

METADATA_FILE = "metadata.yaml"
STORAGE_SUFFIXES = (".mcap", ".db3")
COMPRESSED_SUFFIXES = tuple(f".{name}" for name in COMPRESSIONS)


@dataclass(frozen=True)
class BagFiles:
    """The files of a bag in the order of recording.

    Attributes:
        paths: those that are there.
        counts: topic -> messages, as metadata.yaml has it; empty without one.
        span_ns: log times of the first and the last message, as metadata.yaml has it.
        losses: what is missing, one sentence each.
    """

    paths: tuple[Path, ...]
    counts: dict[str, int] = field(default_factory=dict)
    span_ns: tuple[int, int] | None = None
    losses: tuple[str, ...] = ()


def find_files(path: Path) -> BagFiles:
    """Find a bag's files: those that metadata.yaml lists; without it, those in the folder, or the one file.

    Raises:
        BagError: there is no bag, or it is of ROS 1.
    """
    if not path.exists():
        raise BagError(f"{path}: there is no such bag")
    if path.suffix == ".bag":
        raise BagError(f"{path}: a ROS 1 bag; convert it with rosbags-convert first")
    if path.is_file():
        return BagFiles((path,))
    try:
        return _described(path, load_yaml(path / METADATA_FILE)["rosbag2_bagfile_information"])
    except (ConfigurationError, LookupError, TypeError, ValueError, AttributeError):
        reason = "cannot be used" if (path / METADATA_FILE).exists() else "is missing"
    stored = sorted((file for file in path.iterdir() if _is_storage(file)), key=_natural)
    if not stored:
        raise BagError(f"{path}: not a ROS 2 bag: the folder holds no .mcap or .db3 file")
    loss = f"{METADATA_FILE} {reason}, as after a crash of the recorder: how much was recorded is not known"
    return BagFiles(tuple(stored), losses=(loss,))


def unpacked(path: Path, folder: Path) -> Path:
    """Unpack a compressed file into a folder, as far as it goes; any other file stays where it is."""
    if path.suffix not in COMPRESSED_SUFFIXES:
        return path
    unpack_file(path, folder / path.stem)
    return folder / path.stem


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Make a folder that goes when nobody holds it any more."""
    return tempfile.TemporaryDirectory(prefix="perception_bag_", ignore_cleanup_errors=True)


def _described(path: Path, information: Any) -> BagFiles:
    listed = [path / PurePath(name).name for name in information["relative_file_paths"]]
    present = tuple(file for file in listed if file.exists())
    missing = [file.name for file in listed if not file.exists()]
    if not present:
        raise ValueError("none of its files is there")
    topics = information["topics_with_message_count"]
    start_ns = int(information["starting_time"]["nanoseconds_since_epoch"])
    end_ns = start_ns + int(information["duration"]["nanoseconds"])
    return BagFiles(
        present,
        {topic["topic_metadata"]["name"]: int(topic["message_count"]) for topic in topics},
        (start_ns, end_ns) if information["message_count"] else None,
        (f"of its {len(listed)} files {', '.join(missing)} is missing",) if missing else (),
    )


def _is_storage(file: Path) -> bool:
    name = file.with_suffix("") if file.suffix in COMPRESSED_SUFFIXES else file
    return file.is_file() and name.suffix in STORAGE_SUFFIXES


def _natural(path: Path) -> list[tuple[int, str]]:
    """Order bag_2 before bag_10."""
    return [(int(word or 0), rest) for word, rest in re.findall(r"(\d*)(\D*)", path.name)]
