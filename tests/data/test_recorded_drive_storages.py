"""Every storage, compression and splitting of a bag gives the same frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from perception.data.bag_types import VISION_MESSAGES, typestore
from perception.data.bag_writer import Entry
from perception.data.bags import write_drive
from perception.data.drive import DriveFrame
from perception.data.recorded_drive import RecordedDrive
from tests.data import odd_bags

MakeFrame = Callable[..., DriveFrame]
COUNT = 6


def is_read(drive: RecordedDrive, frames: list[DriveFrame]) -> None:
    """Check that a drive gives these frames with their truth, and loses nothing."""
    assert drive.expected_frames == len(frames)
    found = list(drive.frames())
    assert drive.losses == []
    assert [frame.frame.stamp_ns for frame in found] == [frame.frame.stamp_ns for frame in frames]
    for frame, true in zip(found, frames, strict=True):
        assert np.array_equal(frame.frame.cloud.points, true.frame.cloud.points)
        assert np.array_equal(frame.class_ids, true.class_ids)
        assert np.array_equal(frame.objects.centers, true.objects.centers)
        assert np.array_equal(frame.objects.velocities, true.objects.velocities, equal_nan=True)
        assert np.allclose(frame.odom_from_base, true.odom_from_base, rtol=0, atol=1e-12)


@pytest.fixture
def frames(full_frame: MakeFrame) -> list[DriveFrame]:
    return [full_frame(index) for index in range(COUNT)]


@pytest.mark.parametrize("compression", ["none", "zstd", "lz4"])
@pytest.mark.parametrize(("is_chunked", "has_index"), [(True, True), (True, False), (False, False)])
def test_mcap(tmp_path: Path, frames: list[DriveFrame], compression: str, is_chunked: bool, has_index: bool) -> None:
    file = odd_bags.write_mcap(
        tmp_path / "drive.mcap", odd_bags.entries_of(frames), compression, has_index=has_index, is_chunked=is_chunked
    )
    is_read(RecordedDrive(file), frames)


def test_mcap_without_indexes_of_messages(tmp_path: Path, frames: list[DriveFrame]) -> None:
    entries = odd_bags.entries_of(frames)
    is_read(RecordedDrive(odd_bags.write_mcap(tmp_path / "drive.mcap", entries, has_message_index=False)), frames)


@pytest.mark.parametrize("compression", ["", "file-zstd", "file-lz4", "message-zstd", "message-lz4"])
def test_sqlite(tmp_path: Path, frames: list[DriveFrame], compression: str) -> None:
    is_read(RecordedDrive(odd_bags.write_sqlite(tmp_path / "drive", odd_bags.entries_of(frames), compression)), frames)


@pytest.mark.parametrize("kind", ["zstd", "lz4"])
def test_single_messages_are_unpacked_wherever_they_are(tmp_path: Path, frames: list[DriveFrame], kind: str) -> None:
    """In MCAP, and where no metadata.yaml says that they are compressed."""
    folder = odd_bags.write_sqlite(tmp_path / "drive", odd_bags.entries_of(frames), f"message-{kind}")
    is_read(RecordedDrive(folder / "drive.db3"), frames)
    is_read(RecordedDrive(odd_bags.as_mcap(folder / "drive.db3", tmp_path / "drive.mcap")), frames)


def test_sqlite_without_definitions(tmp_path: Path, frames: list[DriveFrame]) -> None:
    folder = odd_bags.write_sqlite(tmp_path / "drive", odd_bags.entries_of(frames))
    is_read(RecordedDrive(odd_bags.without_definitions(folder)), frames)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_split(tmp_path: Path, full_frame: MakeFrame, storage: str) -> None:
    frames = [full_frame(index) for index in range(24)]
    parts = []
    for number in range(12):
        part, some = tmp_path / f"part{number}", frames[2 * number : 2 * number + 2]
        parts.append(part)
        if storage == "mcap":
            write_drive(part, some)
        else:
            odd_bags.write_sqlite(part, odd_bags.entries_of(some))
    folder = odd_bags.split(tmp_path / "drive", parts)
    is_read(RecordedDrive(folder), frames)
    (folder / "metadata.yaml").unlink()
    drive = RecordedDrive(folder)
    assert [frame.frame.stamp_ns for frame in drive.frames()] == [frame.frame.stamp_ns for frame in frames]
    assert drive.losses == [
        "metadata.yaml is missing, as after a crash of the recorder: how much was recorded is not known"
    ]


def test_a_missing_part_is_told(tmp_path: Path, frames: list[DriveFrame]) -> None:
    for number in range(3):
        write_drive(tmp_path / f"part{number}", frames[2 * number : 2 * number + 2])
    folder = odd_bags.split(tmp_path / "drive", [tmp_path / f"part{number}" for number in range(3)])
    (folder / "drive_1.mcap").unlink()
    drive = RecordedDrive(folder)
    assert [frame.frame.stamp_ns for frame in drive.frames()] == [
        frame.frame.stamp_ns for frame in (*frames[:2], *frames[4:])
    ]
    assert drive.losses == ["of its 3 files drive_1.mcap is missing", "2 of 6 clouds on /points are missing"]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_other_definitions(tmp_path: Path, frames: list[DriveFrame], storage: str) -> None:
    """Clouds, boxes and odometry with fields that today's messages do not have, and a type that nobody knows."""
    recorded = get_typestore(Stores.ROS2_HUMBLE)
    longer = {
        "sensor_msgs/msg/PointCloud2": ("float64 temperature\n", ""),
        "nav_msgs/msg/Odometry": ("", "string source\nuint8[] status\n"),
        "vision_msgs/msg/Detection3DArray": ("", "uint32 version\n"),
    }
    known = {f"vision_msgs/msg/{name}": text for name, text in VISION_MESSAGES.items()}
    store = get_typestore(Stores.EMPTY)
    types = dict(recorded.fielddefs)
    for name, text in known.items():
        types.update(get_types_from_msg(text, name))
    for name, (before, after) in longer.items():
        text = typestore().generate_msgdef(name, ros_version=2)[0].split("=" * 80)[0]
        types.update(get_types_from_msg(before + text + after, name))
    types.update(get_types_from_msg("string words\nfloat32[3] numbers\n", "acme_msgs/msg/Secret"))
    store.register(types)

    def as_recorded(entry: Entry) -> Entry:
        log_time_ns, topic, message_type, message = entry
        extra = {"temperature": 21.5, "source": "wheels", "status": np.zeros(3, np.uint8), "version": 7}
        make = store.types[message_type]
        values = {name: getattr(message, name, extra.get(name)) for name in make.__dataclass_fields__}
        return log_time_ns, topic, message_type, make(**values)

    entries = [as_recorded(entry) for entry in odd_bags.entries_of(frames)]
    secret = store.types["acme_msgs/msg/Secret"](words="?", numbers=np.zeros(3, np.float32))
    entries.insert(5, (entries[4][0], "/secret", "acme_msgs/msg/Secret", secret))
    if storage == "mcap":
        bag = odd_bags.write_mcap(tmp_path / "drive.mcap", entries, types=store)
    else:
        bag = odd_bags.write_sqlite(tmp_path / "drive", entries, types=store)
    is_read(RecordedDrive(bag), frames)


def test_bare_frames_of_foreign_recorders(tmp_path: Path, bare_frame: MakeFrame) -> None:
    """No truth, no tf, and clouds under the recorder's own name."""
    frames = [replace(bare_frame(index)) for index in range(3)]
    entries = [
        (time, "/velodyne_points", kind, message)
        for time, topic, kind, message in odd_bags.entries_of(frames)
        if topic == "/points"
    ]
    drive = RecordedDrive(odd_bags.write_mcap(tmp_path / "drive.mcap", entries))
    assert drive.points_topic == "/velodyne_points"
    found = list(drive.frames())
    assert [frame.objects for frame in found] == [None] * 3
    assert [np.array_equal(frame.base_from_lidar, np.eye(4)) for frame in found] == [True] * 3
    assert drive.losses == []
