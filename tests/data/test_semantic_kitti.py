"""SemanticKITTI's folder layout, with the real scan and with made-up motion."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from perception.classes import IGNORED
from perception.configuration import ConfigurationError
from perception.data.kitti_vehicle import START_NS
from perception.data.poses import rigid_transform, rotation_of
from perception.data.semantic_kitti import open_semantic_kitti

#: Camera axes (x right, y down, z forward) from LiDAR axes, and an offset much like KITTI's.
CAMERA0_FROM_LIDAR = rigid_transform([[0, -1, 0], [0, 0, -1], [1, 0, 0]], (0.0, -0.08, -0.27))


def line(matrix: np.ndarray) -> str:
    return " ".join(f"{value:.12e}" for value in matrix[:3].reshape(-1))


@pytest.fixture
def sequence(tmp_path: Path) -> Path:
    """Three sweeps of 5, 6 and 7 points; the vehicle drives straight on, 1 m a sweep."""
    folder = tmp_path / "sequences" / "08"
    for name in ("velodyne", "labels"):
        (folder / name).mkdir(parents=True)
    for index in range(3):
        count = 5 + index
        np.full((count, 4), index, np.float32).tofile(folder / "velodyne" / f"{index:06}.bin")
        words = np.array([10, 10 | 3 << 16, 252 | 3 << 16, 30 | 3 << 16, 0, 40, 72][:count], np.uint32)
        words.tofile(folder / "labels" / f"{index:06}.label")
    poses = [rigid_transform(np.eye(3), (0, 0, index)) for index in range(3)]  # camera 0: z is forward
    (folder / "poses.txt").write_text("\n".join(line(pose) for pose in poses) + "\n")
    (folder / "times.txt").write_text("0.000000e+00\n1.037302e-01\n2.074605e-01\n")
    (folder / "calib.txt").write_text(f"P0: {line(np.eye(4))}\nP2: {line(np.eye(4))}\nTr: {line(CAMERA0_FROM_LIDAR)}\n")
    return folder


def test_labels_times_and_motion(sequence: Path) -> None:
    drive = open_semantic_kitti(sequence)
    frames = list(drive.frames)
    assert (drive.frame_count, drive.notes) == (3, ())
    assert [len(frame.frame.cloud) for frame in frames] == [5, 6, 7]
    assert [frame.frame.stamp_ns - START_NS for frame in frames] == [0, 103_730_200, 207_460_500]
    assert frames[2].class_ids.tolist() == [0, 0, 0, 5, IGNORED, 8, 16]
    # Instance 3 of a moving car, a parked car and a person are three objects.
    instances = frames[2].instance_ids.tolist()
    assert instances[0] == instances[4] == instances[5] == 0
    assert len(set(instances[1:4])) == 3
    for index, frame in enumerate(frames):
        np.testing.assert_allclose(frame.odom_from_base, rigid_transform(np.eye(3), (index, 0, 0)), atol=1e-9)
        np.testing.assert_allclose(frame.twist, (1 / 0.1037302, 0, 0, 0, 0, 0), rtol=1e-5, atol=1e-9)
    # A drive can be read twice.
    assert len(list(drive.frames)) == 3


def test_a_turn_of_the_camera_is_a_yaw_of_the_vehicle(sequence: Path) -> None:
    angle = 0.2
    # About the camera's -y, which is up.
    turned = rigid_transform(rotation_of((0, -np.sin(angle / 2), 0, np.cos(angle / 2))), (0, 0, 0))
    (sequence / "poses.txt").write_text("\n".join(line(pose) for pose in (np.eye(4), turned, turned)))
    frames = list(open_semantic_kitti(sequence).frames)
    rotation = frames[1].odom_from_base[:3, :3]
    np.testing.assert_allclose(rotation, rotation_of((0, 0, np.sin(angle / 2), np.cos(angle / 2))), atol=1e-9)


def test_a_part_of_a_sequence_takes_its_own_lines(sequence: Path) -> None:
    (sequence / "velodyne" / "000000.bin").unlink()
    frames = list(open_semantic_kitti(sequence).frames)
    assert [frame.frame.stamp_ns - START_NS for frame in frames] == [103_730_200, 207_460_500]
    np.testing.assert_allclose(frames[0].odom_from_base[:3, 3], (1, 0, 0), atol=1e-9)


def test_sweeps_alone_are_enough(sequence: Path) -> None:
    shutil.rmtree(sequence / "labels")
    for name in ("poses.txt", "times.txt", "calib.txt"):
        (sequence / name).unlink()
    drive = open_semantic_kitti(sequence)
    frame = list(drive.frames)[1]
    assert frame.class_ids is frame.instance_ids is frame.odom_from_base is frame.twist is None
    assert frame.frame.stamp_ns - START_NS == 100_000_000
    assert len(drive.notes) == 3


def test_the_flat_layout_of_the_real_scan(shared: Path) -> None:
    drive = open_semantic_kitti(shared / "data" / "semantickitti_sample")
    (frame,) = drive.frames
    assert len(frame.frame.cloud) == len(frame.class_ids) == 123389
    counts = dict(zip(*np.unique(frame.class_ids, return_counts=True), strict=True))
    assert (counts[0], counts[8], counts[14], counts[IGNORED]) == (544 + 990, 20975, 24514, 4458 + 5 + 809 + 1652)


def test_images_of_the_odometry_set(sequence: Path, shared: Path) -> None:
    (sequence / "image_2").mkdir()
    for index in range(3):
        shutil.copy(shared / "data" / "kitti_sample" / "000008.png", sequence / "image_2" / f"{index:06}.png")
    frame = next(iter(open_semantic_kitti(sequence).frames))
    (image,) = frame.images
    assert (image.name, image.width, image.height) == ("image_2", 1242, 375)
    np.testing.assert_allclose(image.base_from_camera[:3, 2], (1, 0, 0), atol=1e-12)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: _cut(folder / "velodyne/000001.bin"), r"velodyne/000001\.bin: 92 bytes are not a whole number"),
        (
            lambda folder: _cut(folder / "labels/000001.label"),
            r"000001\.label: 5 labels for a sweep of 6 points",
        ),
        (lambda folder: (folder / "labels/000002.label").unlink(), r"labels/000002\.label: cannot be read"),
        (
            lambda folder: (folder / "times.txt").write_text("0\n0.1\n"),
            r"times\.txt: 2 lines, but sweep 2 needs",
        ),
        (lambda folder: (folder / "times.txt").write_text("zero\n"), r"times\.txt: line 1: expected numbers"),
        (
            lambda folder: (folder / "poses.txt").write_text("1 2 3\n"),
            r"poses\.txt: line 1: expected 12 numbers",
        ),
        (lambda folder: (folder / "calib.txt").unlink(), r"calib\.txt: no entry 'Tr'"),
        (lambda folder: shutil.rmtree(folder / "velodyne"), "no sweeps"),
        (lambda folder: shutil.rmtree(folder), "there is no such folder"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_file(sequence: Path, damage: object, message: str) -> None:
    damage(sequence)
    with pytest.raises(ConfigurationError, match=message) as caught:
        list(open_semantic_kitti(sequence).frames)
    assert "\n" not in str(caught.value)
