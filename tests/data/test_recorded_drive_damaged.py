"""What is left of a damaged bag is read, and what is lost is told with numbers."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from perception.data.bags import BagError, write_drive
from perception.data.drive import DriveFrame
from perception.data.recorded_drive import RecordedDrive
from tests.data import odd_bags

MakeFrame = Callable[..., DriveFrame]
COUNT, POINTS = 40, 2000
UNKNOWN = "metadata.yaml is missing, as after a crash of the recorder: how much was recorded is not known"


@pytest.fixture
def frames(full_frame: MakeFrame) -> list[DriveFrame]:
    return [full_frame(index, POINTS) for index in range(COUNT)]


def read(drive: RecordedDrive, frames: list[DriveFrame]) -> list[int]:
    """Which of these frames a drive gives; each with its cloud and its truth whole."""
    numbers = {frame.frame.stamp_ns: number for number, frame in enumerate(frames)}
    found = []
    for frame in drive.frames():
        found.append(numbers[frame.frame.stamp_ns])
        true = frames[found[-1]]
        assert np.array_equal(frame.frame.cloud.points, true.frame.cloud.points)
        assert frame.class_ids is None or np.array_equal(frame.class_ids, true.class_ids)
        assert frame.objects is None or len(frame.objects) == len(true.objects)
    return found


@pytest.mark.parametrize("share", [0.3, 0.75, 0.999])
@pytest.mark.parametrize("has_metadata", [True, False])
def test_mcap_cut_short(tmp_path: Path, frames: list[DriveFrame], share: float, has_metadata: bool) -> None:
    write_drive(tmp_path / "drive", frames, compression="zstd")
    odd_bags.cut(tmp_path / "drive" / "drive.mcap", share)
    if not has_metadata:
        (tmp_path / "drive" / "metadata.yaml").unlink()
    drive = RecordedDrive(tmp_path / "drive")
    found = read(drive, frames)
    # The writer's chunks hold 1 MiB before compression, so at most one and its neighbour are lost with the end.
    assert len(found) >= share * COUNT - 16
    assert found == list(range(len(found)))
    cut = "drive.mcap is cut short or damaged (its end is missing)"
    missing = f"{COUNT - len(found)} of {COUNT} clouds on /points are missing"
    if has_metadata and len(found) < COUNT:
        assert drive.losses[0].startswith(missing)
        assert drive.losses[1:] == [cut]
    else:
        assert drive.losses == [*([] if has_metadata else [UNKNOWN]), cut]


def test_seconds_that_are_missing_are_told(tmp_path: Path, frames: list[DriveFrame]) -> None:
    write_drive(tmp_path / "drive", frames, compression="zstd")
    odd_bags.cut(tmp_path / "drive" / "drive.mcap", 0.3)
    drive = RecordedDrive(tmp_path / "drive")
    found = read(drive, frames)
    lost_s = (frames[-1].frame.stamp_ns - frames[found[-1]].frame.stamp_ns) / 1e9
    assert (
        f"{COUNT - len(found)} of 40 clouds on /points are missing, the last {lost_s:.1f} of 4.0 s" in drive.losses[0]
    )


def test_mcap_cut_between_records(tmp_path: Path, frames: list[DriveFrame]) -> None:
    """A recorder that was killed leaves whole records, and no footer."""
    file = odd_bags.write_mcap(tmp_path / "drive.mcap", odd_bags.entries_of(frames), is_chunked=False, has_index=False)
    file.write_bytes(file.read_bytes()[: -(8 + 29 + 13)])  # magic, footer, data end
    drive = RecordedDrive(file)
    assert read(drive, frames) == list(range(COUNT))
    assert drive.losses == ["drive.mcap is cut short or damaged (its end is missing)"]


def test_damaged_chunks_are_passed_over(tmp_path: Path, frames: list[DriveFrame]) -> None:
    file = odd_bags.write_mcap(tmp_path / "drive.mcap", odd_bags.entries_of(frames), chunk_size=100_000)
    data = bytearray(file.read_bytes())
    for share in (0.3, 0.6):
        begin = data.index(b"\x28\xb5\x2f\xfd", int(len(data) * share))  # a Zstandard frame's first bytes
        data[begin + 1000 : begin + 5000] = bytes(4000)
    file.write_bytes(data)
    drive = RecordedDrive(file)
    found = read(drive, frames)
    assert {0, COUNT - 1} < set(found)
    assert COUNT - 4 <= len(found) < COUNT
    assert drive.losses[0] == f"{COUNT - len(found)} of {COUNT} clouds on /points are missing"
    assert all("a chunk of drive.mcap cannot be unpacked" in loss for loss in drive.losses[1:])


def test_a_hole_of_zeros_is_passed_over(tmp_path: Path, frames: list[DriveFrame]) -> None:
    """Where the file has its index, reading goes on behind a place that is no record any more."""
    file = odd_bags.write_mcap(tmp_path / "drive.mcap", odd_bags.entries_of(frames), chunk_size=100_000)
    data = bytearray(file.read_bytes())
    begin = data.index(b"\x28\xb5\x2f\xfd", len(data) // 2)
    data[begin - 100 : begin + 4000] = bytes(4100)
    file.write_bytes(data)
    drive = RecordedDrive(file)
    found = read(drive, frames)
    assert {0, COUNT - 1} < set(found)
    assert COUNT - 3 <= len(found) < COUNT
    assert len(drive.losses) >= 2


@pytest.mark.parametrize("share", [0.3, 0.75])
@pytest.mark.parametrize("has_metadata", [True, False])
def test_sqlite_cut_short(tmp_path: Path, frames: list[DriveFrame], share: float, has_metadata: bool) -> None:
    folder = odd_bags.write_sqlite(tmp_path / "drive", odd_bags.entries_of(frames))
    odd_bags.cut(folder / "drive.db3", share)
    if not has_metadata:
        (folder / "metadata.yaml").unlink()
    drive = RecordedDrive(folder)
    found = read(drive, frames)
    assert found == list(range(len(found)))
    assert share * COUNT - 2 <= len(found) < COUNT
    damage = "drive.db3 is damaged or cut short (database disk image is malformed)"
    missing = f"{COUNT - len(found)} of {COUNT} clouds on /points are missing"
    if has_metadata:
        assert drive.losses[0].startswith(missing)
    assert damage in drive.losses[-1]


@pytest.mark.parametrize("kind", ["cloud", "labels"])
def test_a_malformed_page_of_sqlite_is_passed_over(tmp_path: Path, frames: list[DriveFrame], kind: str) -> None:
    folder = odd_bags.write_sqlite(tmp_path / "drive", odd_bags.entries_of(frames))
    file = folder / "drive.db3"
    data = bytearray(file.read_bytes())
    place = data.index(frames[20].frame.cloud.points[1000].tobytes())
    if kind == "labels":  # the same points again
        place = data.index(frames[20].frame.cloud.points[1000].tobytes(), place + 1)
    begin = place // 4096 * 4096
    data[begin : begin + 4096] = b"\xff" * 4096
    file.write_bytes(data)
    drive = RecordedDrive(folder)
    labelled = {frame.frame.stamp_ns: frame.class_ids is not None for frame in drive.frames()}
    left = [frame.frame.stamp_ns for frame in frames if kind == "labels" or frame is not frames[20]]
    assert list(labelled) == left
    assert sum(labelled.values()) == COUNT - 1
    damage = "drive.db3 is damaged or cut short (database disk image is malformed)"
    assert drive.losses == [*([f"1 of {COUNT} clouds on /points are missing"] if kind == "cloud" else []), damage]


def test_a_compressed_file_cut_short(tmp_path: Path, frames: list[DriveFrame]) -> None:
    folder = odd_bags.write_sqlite(tmp_path / "drive", odd_bags.entries_of(frames), "file-zstd")
    odd_bags.cut(folder / "drive.db3.zstd", 0.6)
    drive = RecordedDrive(folder)
    found = read(drive, frames)
    assert found == list(range(len(found)))
    assert len(found) > COUNT // 3
    assert drive.losses[0].startswith(f"{COUNT - len(found)} of {COUNT} clouds on /points are missing")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"\x89MCAP0\r\n", b"SQLite format 3\0"])
@pytest.mark.parametrize("name", ["drive.mcap", "drive.db3", "picture.png"])
def test_what_is_no_bag_is_one_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BagError, match=f"{name}: not a ROS 2 bag") as caught:
        RecordedDrive(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_metadata_that_cannot_be_used_is_told(tmp_path: Path, frames: list[DriveFrame]) -> None:
    write_drive(tmp_path / "drive", frames[:3])
    (tmp_path / "drive" / "metadata.yaml").write_text("")
    drive = RecordedDrive(tmp_path / "drive")
    assert read(drive, frames) == [0, 1, 2]
    assert drive.losses == [UNKNOWN.replace("is missing", "cannot be used")]
    (tmp_path / "empty").mkdir()
    with pytest.raises(BagError, match=r"the folder holds no \.mcap or \.db3 file"):
        RecordedDrive(tmp_path / "empty")


def test_messages_that_cannot_be_read_are_counted(tmp_path: Path, full_frame: MakeFrame) -> None:
    frames = [full_frame(index) for index in range(8)]
    entries = odd_bags.entries_of(frames)
    file = odd_bags.write_mcap(tmp_path / "drive.mcap", entries, compression="none", is_chunked=False)
    data = file.read_bytes()
    for topic_text in (b"x\0",):
        assert topic_text in data
    # The name of a field says how long it is: one that claims too much leaves nothing to read behind it.
    broken = data.replace(b"\x02\0\0\0x\0", b"\xff\xff\xff\x7fx\0", 2)
    file.write_bytes(broken)
    drive = RecordedDrive(file)
    found = list(drive.frames())
    assert len(found) == 7
    assert any(loss.startswith("clouds on /points cannot be read: not a sensor_msgs/msg/Po") for loss in drive.losses)


def test_what_a_killed_recorder_left_in_the_log_is_read(tmp_path: Path, full_frame: MakeFrame) -> None:
    """SQLite's write-ahead log holds what is not in the file yet."""
    frames = [full_frame(index) for index in range(8)]
    folder = odd_bags.write_sqlite(tmp_path / "whole", odd_bags.entries_of(frames))
    recorder = sqlite3.connect(folder / "whole.db3")
    recorder.execute("PRAGMA journal_mode = WAL")
    recorder.execute("PRAGMA wal_autocheckpoint = 0")
    recorder.execute("CREATE TABLE later AS SELECT * FROM messages WHERE id > 40")
    recorder.execute("DELETE FROM messages WHERE id > 40")
    recorder.commit()
    recorder.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    recorder.execute("INSERT INTO messages SELECT * FROM later")
    recorder.commit()
    (tmp_path / "killed").mkdir()
    for name in ("whole.db3", "whole.db3-wal"):
        shutil.copy(folder / name, tmp_path / "killed" / name)
    recorder.close()
    drive = RecordedDrive(tmp_path / "killed")
    assert read(drive, frames) == list(range(8))
    (tmp_path / "killed" / "whole.db3-wal").write_bytes(b"")
    assert len(list(RecordedDrive(tmp_path / "killed").frames())) < 8


@pytest.mark.parametrize("kind", ["chunks", "loose", "sqlite3", "compressed messages"])
def test_any_damage_is_read_around_or_refused_in_a_sentence(tmp_path: Path, full_frame: MakeFrame, kind: str) -> None:
    entries = odd_bags.entries_of([full_frame(index, 100) for index in range(6)])
    if kind in ("chunks", "loose"):
        file = odd_bags.write_mcap(tmp_path / "drive.mcap", entries, is_chunked=kind == "chunks")
    else:
        compression = "message-zstd" if kind == "compressed messages" else ""
        file = odd_bags.write_sqlite(tmp_path / "drive", entries, compression) / "drive.db3"
    whole, generator = file.read_bytes(), np.random.default_rng(0)
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(generator.integers(1, 10)):
            place, length = generator.integers(len(data)), generator.choice([1, 4, 100, 4096])
            data[place : place + length] = generator.bytes(generator.choice([0, 1, length]))
        file.write_bytes(data)
        try:
            drive = RecordedDrive(file)
            assert sum(1 for _ in drive.frames()) < 12
            told = drive.losses
        except BagError as error:
            told = [str(error)]
        assert not any("\n" in sentence for sentence in told)
