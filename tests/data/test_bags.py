"""A drive written as a bag comes back as it was, and other tools can read it."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from perception.data.bag_types import VISION_MESSAGES, header, stamp_ns_of, typestore
from perception.data.bags import BagError, Topics, drive_summary, read_drive, write_drive
from perception.data.drive import DriveFrame
from perception.data.poses import rigid_transform

MakeFrame = Callable[..., DriveFrame]


def assert_equal(read: object, written: object, where: str = "frame") -> None:
    """Bit for bit, but for poses, whose rotations become quaternions on the way."""
    if dataclasses.is_dataclass(written):
        for field in dataclasses.fields(written):
            if not field.compare:  # how it was recorded says nothing about the drive
                continue
            assert_equal(getattr(read, field.name), getattr(written, field.name), f"{where}.{field.name}")
    elif isinstance(written, np.ndarray):
        assert isinstance(read, np.ndarray), where
        assert read.dtype == written.dtype, where
        assert read.shape == written.shape, where
        if written.shape == (4, 4) and "_from_" in where:
            np.testing.assert_allclose(read, written, rtol=0, atol=1e-14, err_msg=where)
        else:
            assert read.tobytes() == written.tobytes(), where
    elif isinstance(written, tuple):
        assert len(read) == len(written), where
        for index, (one, other) in enumerate(zip(read, written, strict=True)):
            assert_equal(one, other, f"{where}[{index}]")
    else:
        assert read == written, where


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_everything_comes_back(tmp_path: Path, full_frame: MakeFrame, compression: str | None) -> None:
    written = [full_frame(index) for index in range(7)]
    write_drive(tmp_path / "drive", written, compression=compression)
    read = list(read_drive(tmp_path / "drive"))
    assert len(read) == 7
    for one, other in zip(read, written, strict=True):
        assert_equal(one, other)


@pytest.mark.parametrize("part", ["class_ids", "instance_ids", "objects", "odom_from_base", "twist", "images"])
def test_a_part_that_is_unknown_stays_unknown(tmp_path: Path, full_frame: MakeFrame, part: str) -> None:
    written = [dataclasses.replace(full_frame(3), **{part: () if part == "images" else None})]
    write_drive(tmp_path / "drive", written)
    assert_equal(next(read_drive(tmp_path / "drive")), written[0])


def test_a_drive_of_points_alone(tmp_path: Path, bare_frame: MakeFrame) -> None:
    summary = write_drive(tmp_path / "drive", [bare_frame(index) for index in range(3)])
    assert summary.topics == {"/points": 3, "/tf_static": 1}
    for index, frame in enumerate(read_drive(tmp_path / "drive")):
        assert_equal(frame, bare_frame(index))


def test_an_empty_sweep_and_no_objects(tmp_path: Path, full_frame: MakeFrame) -> None:
    written = full_frame(0, point_count=0)
    write_drive(tmp_path / "drive", [written])
    read = next(read_drive(tmp_path / "drive"))
    assert_equal(read, written)
    assert len(read.objects) == 0


def test_a_sensor_that_moves_on_the_vehicle(tmp_path: Path, bare_frame: MakeFrame) -> None:
    written = [
        dataclasses.replace(bare_frame(index), base_from_lidar=rigid_transform(np.eye(3), (0, 0, index)))
        for index in range(3)
    ]
    summary = write_drive(tmp_path / "drive", written)
    assert summary.topics["/tf_static"] == 3
    heights = [float(frame.base_from_lidar[2, 3]) for frame in read_drive(tmp_path / "drive")]
    assert heights == [0, 1, 2]


@given(stamp_ns=st.integers(0, (2**31 - 1) * 10**9 + 999_999_999))
def test_stamps_are_exact(stamp_ns: int) -> None:
    message_type = "std_msgs/msg/Header"
    message = typestore().deserialize_cdr(
        typestore().serialize_cdr(header(stamp_ns, "lidar"), message_type), message_type
    )
    assert message.stamp.sec * 10**9 + message.stamp.nanosec == stamp_ns


def test_rosbags_opens_it_with_what_the_bag_says_of_itself(tmp_path: Path, full_frame: MakeFrame) -> None:
    write_drive(tmp_path / "drive", [full_frame(index) for index in range(3)])
    with AnyReader([tmp_path / "drive"]) as reader:
        types = {topic: info.msgtype for topic, info in reader.topics.items()}
        log_times = [log_time_ns for _, log_time_ns, _ in reader.messages()]
        stamps = [
            (log_time_ns, stamp_ns_of(reader.deserialize(raw, connection.msgtype)))
            for connection, log_time_ns, raw in reader.messages()
            if connection.topic == "/points"
        ]
    assert types == {
        "/points": "sensor_msgs/msg/PointCloud2",
        "/ground_truth/points": "sensor_msgs/msg/PointCloud2",
        "/ground_truth/objects": "vision_msgs/msg/Detection3DArray",
        "/ground_truth/velocities": "sensor_msgs/msg/PointCloud2",
        "/odometry": "nav_msgs/msg/Odometry",
        "/tf": "tf2_msgs/msg/TFMessage",
        "/tf_static": "tf2_msgs/msg/TFMessage",
        "/camera/CAM_FRONT/image/compressed": "sensor_msgs/msg/CompressedImage",
        "/camera/CAM_FRONT/camera_info": "sensor_msgs/msg/CameraInfo",
        "/camera/CAM_BACK/image/compressed": "sensor_msgs/msg/CompressedImage",
        "/camera/CAM_BACK/camera_info": "sensor_msgs/msg/CameraInfo",
    }
    assert log_times == sorted(log_times)
    for index, (log_time_ns, stamp_ns) in enumerate(stamps):
        last_point_s = float(full_frame(index).frame.cloud.time_s.max())
        assert log_time_ns - stamp_ns == round(last_point_s * 1e9)


def test_qos_lets_late_subscribers_have_the_static_transforms(tmp_path: Path, full_frame: MakeFrame) -> None:
    write_drive(tmp_path / "drive", [full_frame()])
    with AnyReader([tmp_path / "drive"]) as reader:
        profiles = {connection.topic: connection.ext.offered_qos_profiles[0] for connection in reader.connections}
    assert profiles["/tf_static"].durability == QosDurability.TRANSIENT_LOCAL
    assert profiles["/points"].durability == QosDurability.VOLATILE
    assert {profile.reliability for profile in profiles.values()} == {QosReliability.RELIABLE}
    # Humble reads profiles only as text, which metadata version 9 gave up.
    metadata = yaml.safe_load((tmp_path / "drive" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert metadata["version"] == 8
    assert metadata["storage_identifier"] == "mcap"
    assert all(isinstance(topic["topic_metadata"]["offered_qos_profiles"], str) for topic in _topics(metadata))


def _topics(metadata: dict) -> list[dict]:
    return metadata["topics_with_message_count"]


def test_vision_messages_are_those_of_the_underlay(top: Path) -> None:
    for name in VISION_MESSAGES:
        text = (top / "underlay" / "vision_msgs" / "msg" / f"{name}.msg").read_text()
        fields = [line.split("#")[0].split() for line in text.splitlines() if line.split("#")[0].strip()]
        declared = [line.split() for line in VISION_MESSAGES[name].splitlines()]
        short = [[kind.replace("std_msgs/msg/", "std_msgs/"), field] for kind, field in fields]
        assert declared == short


def test_type_hashes_are_those_that_rosidl_computes() -> None:
    """rosidl's generator gave these for vision_msgs 4 and for the common interfaces."""
    assert typestore().hash_rihs01("vision_msgs/msg/Detection3DArray") == (
        "RIHS01_793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018"
    )
    for name in ("sensor_msgs/msg/PointCloud2", "nav_msgs/msg/Odometry", "sensor_msgs/msg/CameraInfo"):
        hashes = {typestore().hash_rihs01(name)}
        hashes |= {get_typestore(store).hash_rihs01(name) for store in (Stores.ROS2_JAZZY, Stores.ROS2_KILTED)}
        assert len(hashes) == 1


@pytest.mark.parametrize("mode", [CompressionMode.NONE, CompressionMode.MESSAGE, CompressionMode.FILE])
def test_a_bag_recorded_as_sqlite(tmp_path: Path, full_frame: MakeFrame, mode: CompressionMode) -> None:
    written = [full_frame(index) for index in range(4)]
    write_drive(tmp_path / "mcap", written)
    _copy_as_sqlite(tmp_path / "mcap", tmp_path / "sqlite", mode)
    assert list((tmp_path / "sqlite").glob("*.db3*"))
    for one, other in zip(read_drive(tmp_path / "sqlite"), written, strict=True):
        assert_equal(one, other)
    assert drive_summary(tmp_path / "sqlite").topics == drive_summary(tmp_path / "mcap").topics


def _copy_as_sqlite(source: Path, target: Path, mode: CompressionMode) -> None:
    writer = Writer(target, version=8, storage_plugin=StoragePlugin.SQLITE3)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with AnyReader([source]) as reader, writer:
        connections = {
            connection.topic: writer.add_connection(connection.topic, connection.msgtype, typestore=typestore())
            for connection in reader.connections
        }
        for connection, log_time_ns, raw in reader.messages():
            writer.write(connections[connection.topic], log_time_ns, raw)


def test_summary(tmp_path: Path, full_frame: MakeFrame) -> None:
    summary = write_drive(tmp_path / "drive", [full_frame(index) for index in range(11)])
    assert summary == drive_summary(tmp_path / "drive")
    assert summary.frames == 11
    assert summary.topics["/odometry"] == 11
    assert 1.0 < summary.duration_s < 1.2
    assert summary.size_bytes == sum(file.stat().st_size for file in (tmp_path / "drive").iterdir())


def test_a_foreign_bag_has_other_topics(tmp_path: Path, full_frame: MakeFrame) -> None:
    topics = Topics(points="/lidar_top/points", odometry="/ego/odometry")
    write_drive(tmp_path / "drive", [full_frame(1)], topics=topics)
    with pytest.raises(BagError, match=r"no topic /points \(it has: .*/lidar_top/points"):
        list(read_drive(tmp_path / "drive"))
    assert_equal(next(read_drive(tmp_path / "drive", topics=topics)), full_frame(1))


def test_a_lidar_that_is_nowhere_on_the_vehicle_is_no_guess(tmp_path: Path, bare_frame: MakeFrame) -> None:
    write_drive(tmp_path / "drive", [bare_frame()])
    with pytest.raises(BagError, match="does not say where lidar is on chassis"):
        list(read_drive(tmp_path / "drive", base_frame="chassis"))
    frame = next(read_drive(tmp_path / "drive", base_frame="lidar"))
    np.testing.assert_array_equal(frame.base_from_lidar, np.eye(4))


def test_images_belong_to_the_nearest_sweep(tmp_path: Path, full_frame: MakeFrame) -> None:
    frames = [full_frame(index) for index in range(3)]
    late = dataclasses.replace(frames[1].images[0], stamp_ns=frames[1].frame.stamp_ns + 60_000_000)
    stale = dataclasses.replace(frames[2].images[1], stamp_ns=frames[2].frame.stamp_ns + 150_000_000)
    written = [
        dataclasses.replace(frames[0], images=frames[0].images),
        dataclasses.replace(frames[1], images=(late,)),
        dataclasses.replace(frames[2], images=(stale,)),
    ]
    write_drive(tmp_path / "drive", written)
    images = [[image.stamp_ns for image in frame.images] for frame in read_drive(tmp_path / "drive")]
    assert images == [[image.stamp_ns for image in frames[0].images], [], [late.stamp_ns]]


def test_thousands_of_frames_stream(tmp_path: Path, bare_frame: MakeFrame) -> None:
    """Ten times the frames take no more memory, neither to write nor to read: 3,000 frames are 73 MB."""
    write_drive(tmp_path / "short", (bare_frame(index, 1000) for index in range(300)))
    peaks = {}
    for name, count in (("short", 300), ("long", 3000)):
        tracemalloc.start()
        if name == "long":
            write_drive(tmp_path / name, (bare_frame(index, 1000) for index in range(count)))
        assert sum(1 for _ in read_drive(tmp_path / name)) == count
        peaks[name] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks["long"] < peaks["short"] + 8e6, peaks
    assert (tmp_path / "long" / "long.mcap").stat().st_size > 70e6
