"""A recorded bag becomes the frames that were recorded, with their truth."""

from __future__ import annotations

import pickle
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zstandard

from perception.data.bags import BagError, Topics, read_drive, write_drive
from perception.data.drive import DriveFrame
from perception.data.point_clouds import decode_point_cloud
from perception.data.recorded_drive import RecordedDrive
from tests.data import odd_bags

MakeFrame = Callable[..., DriveFrame]


def same_boxes(found: DriveFrame, true: DriveFrame) -> bool:
    """Whether two frames have the same boxes to the bit."""
    if found.objects is None or true.objects is None:
        return found.objects is true.objects
    arrays = ("centers", "sizes", "yaws", "scores", "velocities")
    return (found.objects.class_names, found.objects.ids) == (true.objects.class_names, true.objects.ids) and all(
        np.array_equal(getattr(found.objects, name), getattr(true.objects, name), equal_nan=True) for name in arrays
    )


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_frames_are_those_of_the_drive(tmp_path: Path, full_frame: MakeFrame, compression: str | None) -> None:
    write_drive(tmp_path / "drive", [full_frame(index, 500) for index in range(6)], compression=compression)
    drive = RecordedDrive(tmp_path / "drive")
    assert (drive.name, drive.points_topic, drive.expected_frames) == ("drive", "/points", 6)
    found, expected = list(drive.frames()), list(read_drive(tmp_path / "drive"))
    assert drive.losses == []
    assert len(found) == len(expected) == 6
    for frame, true in zip(found, expected, strict=True):
        assert (frame.frame.stamp_ns, frame.frame.frame_id) == (true.frame.stamp_ns, true.frame.frame_id)
        assert np.array_equal(frame.frame.cloud.points, true.frame.cloud.points)
        assert np.array_equal(frame.class_ids, true.class_ids)
        assert np.array_equal(frame.instance_ids, true.instance_ids)
        assert same_boxes(frame, true)
        assert np.array_equal(frame.base_from_lidar, true.base_from_lidar)
        assert np.allclose(frame.odom_from_base, true.odom_from_base, rtol=0, atol=1e-12)


def test_a_drive_can_be_read_again(tmp_path: Path, full_frame: MakeFrame) -> None:
    write_drive(tmp_path / "drive", [full_frame(index) for index in range(3)])
    drive = RecordedDrive(tmp_path / "drive")
    assert len(list(drive.frames())) == len(list(drive.frames())) == 3


def test_a_drive_is_opened_anew_in_another_process(tmp_path: Path, full_frame: MakeFrame) -> None:
    write_drive(tmp_path / "drive", [full_frame(index) for index in range(3)])
    drive = RecordedDrive(tmp_path / "drive", topics=Topics(objects="/ground_truth/objects"))
    drive.name = "drive_2"
    there = pickle.loads(pickle.dumps(drive))
    assert there.name == "drive_2"
    stamps = [[frame.frame.stamp_ns for frame in one.frames()] for one in (drive, there)]
    assert stamps[0] == stamps[1]
    assert len(stamps[0]) == 3


def test_a_bag_without_truth_has_only_clouds(tmp_path: Path, bare_frame: MakeFrame) -> None:
    write_drive(tmp_path / "drive", [bare_frame(index) for index in range(3)])
    drive = RecordedDrive(tmp_path / "drive")
    frames = list(drive.frames())
    assert len(frames) == 3
    assert drive.losses == []
    assert all(
        (frame.class_ids, frame.instance_ids, frame.objects, frame.odom_from_base) == (None,) * 4 for frame in frames
    )


def test_clouds_are_found_where_they_are(tmp_path: Path, full_frame: MakeFrame) -> None:
    names = Topics(points="/sensing/lidar/points", objects="/annotation/boxes")
    write_drive(tmp_path / "drive", [full_frame(index) for index in range(3)], topics=names)
    assert RecordedDrive(tmp_path / "drive").points_topic == "/sensing/lidar/points"
    drive = RecordedDrive(tmp_path / "drive", "/sensing/lidar/points", replace(names, points="/points"))
    assert [frame.objects is None for frame in drive.frames()] == [False] * 3
    with pytest.raises(BagError, match=r"no clouds on /lidar; topics with sensor_msgs/PointCloud2: /ground_truth/po"):
        RecordedDrive(tmp_path / "drive", "/lidar")
    with pytest.raises(BagError, match=r"no truth on /boxes; topics with vision_msgs/Detection3DArray: /annotation/b"):
        RecordedDrive(tmp_path / "drive", topics=Topics(objects="/boxes"))
    with pytest.raises(BagError, match="there is no such bag"):
        RecordedDrive(tmp_path / "nothing")


def test_truth_may_be_in_another_bag(tmp_path: Path, full_frame: MakeFrame, bare_frame: MakeFrame) -> None:
    frames = [full_frame(index) for index in range(6)]
    write_drive(tmp_path / "truth", frames)
    bare = [replace(frame, class_ids=None, instance_ids=None, objects=None) for frame in frames]
    write_drive(tmp_path / "drive", bare[1:5])
    drive = RecordedDrive(tmp_path / "drive", truth=tmp_path / "truth")
    found = list(drive.frames())
    assert drive.losses == []
    for frame, true in zip(found, frames[1:5], strict=True):
        assert np.array_equal(frame.class_ids, true.class_ids)
        assert same_boxes(frame, true)


def test_clouds_come_with_their_messages(tmp_path: Path, full_frame: MakeFrame) -> None:
    write_drive(tmp_path / "drive", [full_frame(index) for index in range(2)])
    for frame in RecordedDrive(tmp_path / "drive").frames():
        message = pickle.loads(pickle.dumps(frame.message))
        assert np.array_equal(decode_point_cloud(message).cloud.points, frame.frame.cloud.points)


@pytest.mark.parametrize("kept", [True, False])
def test_memory_does_not_grow_with_the_bag(tmp_path: Path, full_frame: MakeFrame, kept: bool) -> None:
    """Also where the index is lost, and the file has to be read through."""
    frame = full_frame(3, 4000)
    messages_bytes = (24 + 28) * len(frame.frame.cloud)  # the cloud's and the labelled cloud's

    def peak_bytes(count: int) -> int:
        folder = tmp_path / f"{count}"
        moments = (replace(frame, frame=replace(frame.frame, stamp_ns=number * 10**8)) for number in range(count))
        write_drive(folder, moments, compression="zstd")
        if not kept:
            (file,) = folder.glob("*.mcap")
            file.write_bytes(file.read_bytes()[:-40])
        tracemalloc.start()
        assert sum(1 for _ in RecordedDrive(folder).frames()) >= count - 12
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    few, many = peak_bytes(60), peak_bytes(300)
    assert many - few < messages_bytes


@pytest.mark.parametrize(
    ("file", "name"),
    [("2026.05.01.mcap", "2026.05.01"), ("a.db3", "a"), ("b.mcap.zstd", "b"), ("folder", "folder")],
)
def test_names(tmp_path: Path, bare_frame: MakeFrame, file: str, name: str) -> None:
    write_drive(tmp_path / "made", [bare_frame()])
    (mcap,) = (tmp_path / "made").glob("*.mcap")
    bag = tmp_path / file
    if file.endswith(".zstd"):
        bag.write_bytes(zstandard.compress(mcap.read_bytes()))
    elif file.endswith(".mcap"):
        mcap.rename(bag)
    elif file.endswith(".db3"):
        entries = odd_bags.entries_of([bare_frame()])
        (odd_bags.write_sqlite(tmp_path / "sqlite", entries) / "sqlite.db3").rename(bag)
    else:
        (tmp_path / "made").rename(bag)
    drive = RecordedDrive(bag)
    assert (drive.name, len(list(drive.frames()))) == (name, 1)


def test_a_slash_before_a_frame_changes_nothing(tmp_path: Path, full_frame: MakeFrame) -> None:
    frames = [full_frame(index) for index in range(3)]
    write_drive(tmp_path / "plain", frames)
    write_drive(tmp_path / "slash", [replace(one, frame=replace(one.frame, frame_id="/lidar")) for one in frames])
    plain, slash = (list(RecordedDrive(tmp_path / name).frames()) for name in ("plain", "slash"))
    for one, other in zip(plain, slash, strict=True):
        assert np.array_equal(one.base_from_lidar, other.base_from_lidar)
        assert np.array_equal(one.odom_from_base, other.odom_from_base)
