"""Truth at another rate, on another clock or in other frames finds its cloud; a jump of time mixes nothing up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from perception.data.bag_clouds import encode_cloud
from perception.data.bag_messages import encode_objects, encode_odometry, encode_transforms
from perception.data.bag_types import DETECTIONS, ODOMETRY, POINT_CLOUD, TRANSFORMS
from perception.data.bag_writer import Entry
from perception.data.drive import DriveFrame
from perception.data.poses import inverse, rigid_transform, rotation_of
from perception.data.recorded_drive import RecordedDrive
from perception.types import Boxes3D, PointCloud
from tests.data import odd_bags

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000
BASE_FROM_LIDAR = rigid_transform(np.eye(3), (1.0, 0.0, 1.8))


def odom_from_base(stamp_ns: int) -> np.ndarray:
    """A vehicle that drives 10 m/s and turns 0.5 rad/s."""
    seconds = (stamp_ns - START_NS) / 1e9
    return rigid_transform(rotation_of((0, 0, np.sin(seconds / 4), np.cos(seconds / 4))), (10 * seconds, 0, 0))


def boxes_at(stamp_ns: int, ids: Sequence[str] = ("a", "b")) -> Boxes3D:
    """Objects on straight lines through the world, as the LiDAR sees them: a drives 5 m/s along y, b is parked."""
    seconds = (stamp_ns - START_NS) / 1e9
    centers = np.array([(30, 5 * seconds, 1), (50, -8, 1)], np.float64)
    lidar_from_odom = inverse(odom_from_base(stamp_ns) @ BASE_FROM_LIDAR)
    seen = centers @ lidar_from_odom[:3, :3].T + lidar_from_odom[:3, 3]
    velocities = np.array([(0, 5), (0, 0)]) @ lidar_from_odom[:2, :2].T
    yaw = np.arctan2(lidar_from_odom[1, 0], lidar_from_odom[0, 0])
    chosen = [0, 1][: len(ids)]
    return Boxes3D(
        seen[chosen].astype(np.float32),
        np.array([(4, 2, 1.5)] * 2, np.float32)[chosen],
        np.array([yaw + np.pi / 2, yaw], np.float32)[chosen],
        ("car", "truck")[: len(ids)],
        np.ones(len(ids), np.float32),
        velocities.astype(np.float32)[chosen],
        tuple(ids),
    )


def cloud_entry(stamp_ns: int, log_time_ns: int | None = None, marker: float = 0.0) -> Entry:
    cloud = PointCloud(np.full((3, 4), marker, np.float32))
    return log_time_ns or stamp_ns, "/points", POINT_CLOUD, encode_cloud(cloud, stamp_ns, "lidar")


def truth_entry(stamp_ns: int, log_time_ns: int | None = None, ids: Sequence[str] = ("a", "b")) -> Entry:
    message = encode_objects(boxes_at(stamp_ns, ids), stamp_ns, "lidar")
    return log_time_ns or stamp_ns, "/ground_truth/objects", DETECTIONS, message


def pose_entries(stamps_ns: Sequence[int], kind: str) -> list[Entry]:
    fixed = encode_transforms({("base_link", "lidar"): BASE_FROM_LIDAR}, stamps_ns[0])
    entries: list[Entry] = [(stamps_ns[0], "/tf_static", TRANSFORMS, fixed)]
    for stamp_ns in stamps_ns:
        pose = odom_from_base(stamp_ns)
        if kind == "tf":
            entries.append((stamp_ns, "/tf", TRANSFORMS, encode_transforms({("odom", "base_link"): pose}, stamp_ns)))
        elif kind == "odometry":
            entries.append((stamp_ns, "/odometry", ODOMETRY, encode_odometry(pose, None, stamp_ns, "base_link")))
    return entries


def read(path: Path, entries: list[Entry], in_order: bool = False, **options: object) -> list[DriveFrame]:
    """Write a bag and read it; nothing may be lost."""
    entries = entries if in_order else sorted(entries, key=lambda entry: entry[0])
    drive = RecordedDrive(odd_bags.write_mcap(path / "drive.mcap", entries), **options)
    frames = list(drive.frames())
    assert drive.losses == []
    assert len(frames) == drive.expected_frames
    return frames


def every(milliseconds: int, count: int, first_ms: int = 0) -> list[int]:
    return [START_NS + (first_ms + number * milliseconds) * MS for number in range(count)]


def error_m(found: Boxes3D, stamp_ns: int) -> float:
    true = boxes_at(stamp_ns)
    assert found.ids == true.ids
    assert np.abs(np.angle(np.exp(1j * (found.yaws - true.yaws)))).max() < 0.01
    return float(np.abs(found.centers - true.centers).max())


@pytest.mark.parametrize("kind", ["tf", "odometry"])
def test_truth_between_two_moments_is_moved_with_the_vehicle(tmp_path: Path, kind: str) -> None:
    """Truth twice a second, as nuScenes has it, and clouds ten times."""
    stamps = every(100, 21)
    poses = pose_entries(every(20, 101), kind)
    entries = [*map(cloud_entry, stamps), *map(truth_entry, every(500, 5)), *poses]
    drive = RecordedDrive(odd_bags.write_mcap(tmp_path / "drive.mcap", sorted(entries, key=lambda entry: entry[0])))
    frames = list(drive.frames())
    for frame in frames:
        # In the sensor's own frame the turn alone would move the parked object by 12 m between two moments.
        assert error_m(frame.objects, frame.frame.stamp_ns) < 0.01
    # Nodes do not listen to odometry: what networks are given must be the same here.
    assert [frame.odom_from_base is None for frame in frames] == [kind == "odometry"] * 21
    assert ["only odometry tells" in loss for loss in drive.losses] == [True] * (kind == "odometry")


def test_objects_that_come_and_go_go_on_at_their_velocity(tmp_path: Path) -> None:
    moments = every(500, 3)
    truth = [truth_entry(moments[0]), truth_entry(moments[1], ids=("a",)), truth_entry(moments[2])]
    frames = read(tmp_path, [*map(cloud_entry, every(100, 11)), *truth, *pose_entries(every(20, 51), "tf")])
    assert ["b" in frame.objects.ids for frame in frames] == [True] * 3 + [False] * 5 + [True] * 3
    assert error_m(frames[2].objects, frames[2].frame.stamp_ns) < 0.01


def test_without_poses_only_near_truth_counts(tmp_path: Path) -> None:
    frames = read(tmp_path, [*map(cloud_entry, every(100, 11)), *map(truth_entry, every(500, 3, first_ms=30))])
    known = [frame.objects is not None for frame in frames]
    assert known == [True] + [False] * 4 + [True] + [False] * 4 + [True]
    assert np.array_equal(frames[5].objects.centers, boxes_at(START_NS + 530 * MS).centers)


@pytest.mark.parametrize("shift_ms", [-40, 40])
def test_stamps_beside_those_of_the_clouds(tmp_path: Path, shift_ms: int) -> None:
    """As fast as the clouds, with other stamps and no ids: the nearest, moved with the vehicle."""
    truth = [truth_entry(stamp, ids=("", "")) for stamp in every(100, 10, first_ms=shift_ms)]
    entries = [*map(cloud_entry, every(100, 10)), *truth, *pose_entries(every(20, 60, first_ms=-100), "tf")]
    for frame in read(tmp_path, entries):
        # The car drives on for 40 ms, 0.2 m.
        assert np.abs(frame.objects.centers - boxes_at(frame.frame.stamp_ns).centers).max() < 0.21


def test_truth_far_from_every_cloud_is_none(tmp_path: Path) -> None:
    truth = [truth_entry(stamp + 3_600_000 * MS, stamp) for stamp in every(100, 10)]
    drive = RecordedDrive(odd_bags.write_mcap(tmp_path / "drive.mcap", [*map(cloud_entry, every(100, 10)), *truth]))
    assert [frame.objects for frame in drive.frames()] == [None] * 10
    assert drive.losses == ["the truth on /ground_truth/objects belongs to none of the clouds: see its stamps"]


def test_truth_in_the_frame_of_the_world(tmp_path: Path) -> None:
    stamps = every(100, 5)
    entries = [*map(cloud_entry, stamps), *pose_entries(every(20, 30), "tf")]
    for stamp_ns in every(200, 3):
        seen, odom_from_lidar = boxes_at(stamp_ns), odom_from_base(stamp_ns) @ BASE_FROM_LIDAR
        centers = seen.centers @ odom_from_lidar[:3, :3].T + odom_from_lidar[:3, 3]
        yaw = np.arctan2(odom_from_lidar[1, 0], odom_from_lidar[0, 0])
        world = replace(seen, centers=centers.astype(np.float32), yaws=(seen.yaws + yaw).astype(np.float32))
        entries.append((stamp_ns, "/ground_truth/objects", DETECTIONS, encode_objects(world, stamp_ns, "odom")))
    for frame in read(tmp_path, entries):
        assert error_m(frame.objects, frame.frame.stamp_ns) < 0.01


def test_truth_of_another_bag_at_another_rate(tmp_path: Path) -> None:
    (tmp_path / "truth").mkdir()
    truth = odd_bags.write_mcap(
        tmp_path / "truth" / "t.mcap",
        # Recorded on another day: only its stamps tell.
        [truth_entry(stamp, 5 * START_NS // 4 + stamp) for stamp in every(500, 9, first_ms=-1000)],
    )
    entries = [*map(cloud_entry, every(100, 21)), *pose_entries(every(20, 101), "tf")]
    for frame in read(tmp_path, entries, truth=truth):
        assert error_m(frame.objects, frame.frame.stamp_ns) < 0.01


JUMPS_MS = [-60_000, -3_000, 3_600_000]


@pytest.mark.parametrize("jump_ms", JUMPS_MS)
@pytest.mark.parametrize("what", ["log times", "stamps", "both"])
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_clocks_that_jump(tmp_path: Path, jump_ms: int, what: str, storage: str) -> None:
    """Frames keep the order of recording, and each its own truth and pose."""
    entries: list[Entry] = []
    expected = []
    for second_part in (False, True):
        stamp_jump = jump_ms * MS * (second_part and what != "log times")
        log_jump = jump_ms * MS * (second_part and what != "stamps")
        for stamp_ns in every(100, 30, first_ms=3000 * second_part):
            log_ns = stamp_ns + log_jump
            stamp_ns += stamp_jump
            marker = float(len(expected))
            transform = encode_transforms({("odom", "base_link"): odom_from_base(stamp_ns)}, stamp_ns)
            if not expected:
                entries.append(pose_entries([stamp_ns], "")[0])
            entries.append((log_ns, "/tf", TRANSFORMS, transform))
            entries.append(cloud_entry(stamp_ns, log_ns, marker))
            if len(expected) % 2 == 0:
                entries.append(truth_entry(stamp_ns, log_ns + 10 * MS))
            expected.append(stamp_ns)
    if storage == "mcap":
        drive = RecordedDrive(odd_bags.write_mcap(tmp_path / "drive.mcap", entries))
    else:
        drive = RecordedDrive(odd_bags.write_sqlite(tmp_path / "drive", entries))
    frames = list(drive.frames())
    assert drive.losses == []
    assert [frame.frame.stamp_ns for frame in frames] == expected
    assert [frame.frame.cloud.points[0, 0] for frame in frames] == list(range(60))
    for number, frame in enumerate(frames):
        assert np.allclose(frame.odom_from_base, odom_from_base(expected[number]), atol=1e-9)
        if number not in (29, 59):  # their next truth comes after the jump, or never
            assert error_m(frame.objects, expected[number]) < 0.03


def test_stamps_that_occur_twice_keep_their_order(tmp_path: Path) -> None:
    """A driver that repeats a stamp: each cloud has its own labels."""
    entries: list[Entry] = []
    for number, stamp_ns in enumerate(np.repeat(every(100, 5), 2).tolist()):
        log_ns = START_NS + number * 50 * MS
        cloud = PointCloud(np.full((3, 4), number, np.float32))
        labels = np.full(3, number, np.uint8)
        labelled = encode_cloud(cloud, stamp_ns, "lidar", labels, np.zeros(3, np.uint32))
        entries.append(cloud_entry(stamp_ns, log_ns, float(number)))
        entries.append((log_ns, "/ground_truth/points", POINT_CLOUD, labelled))
    frames = read(tmp_path, entries)
    assert [frame.class_ids.tolist() for frame in frames] == [[number] * 3 for number in range(10)]


def test_labels_need_the_same_stamp(tmp_path: Path) -> None:
    entries: list[Entry] = []
    for number, stamp_ns in enumerate(every(100, 6)):
        entries.append(cloud_entry(stamp_ns))
        off = (0, 1, 0, 30 * MS, 0, 0)[number]
        points = 4 if number == 4 else 3
        labelled = encode_cloud(
            PointCloud(np.zeros((points, 4), np.float32)), stamp_ns + off, "lidar", np.full(points, number, np.uint8)
        )
        entries.append((stamp_ns + 40 * MS, "/ground_truth/points", POINT_CLOUD, labelled))
    drive = RecordedDrive(odd_bags.write_mcap(tmp_path / "drive.mcap", sorted(entries, key=lambda entry: entry[0])))
    labels = [None if frame.class_ids is None else frame.class_ids.tolist() for frame in drive.frames()]
    assert labels == [[0] * 3, None, [2] * 3, None, None, [5] * 3]
    assert drive.losses == ["labelled clouds do not have as many points as the cloud of the same stamp"]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_topics_written_one_after_the_other(
    tmp_path: Path, full_frame: Callable[..., DriveFrame], order: int, storage: str
) -> None:
    """A converter that copied topic by topic: nothing lies beside its cloud."""
    frames = [full_frame(index, 300) for index in range(60)]
    entries = odd_bags.entries_of(frames)
    topics = sorted({topic for _, topic, _, _ in entries})[::order]
    entries.sort(key=lambda entry: topics.index(entry[1]))
    if storage == "mcap":
        drive = RecordedDrive(odd_bags.write_mcap(tmp_path / "drive.mcap", entries))
    else:
        drive = RecordedDrive(odd_bags.write_sqlite(tmp_path / "drive", entries))
    found = list(drive.frames())
    assert drive.losses == []
    for frame, true in zip(found, frames, strict=True):
        assert np.array_equal(frame.class_ids, true.class_ids)
        assert np.array_equal(frame.objects.centers, true.objects.centers)
        assert np.allclose(frame.odom_from_base, true.odom_from_base, rtol=0, atol=1e-12)
        assert np.allclose(frame.base_from_lidar, true.base_from_lidar, rtol=0, atol=1e-12)
