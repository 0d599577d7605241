"""The real KITTI frame, laid out as the data set is."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from perception.configuration import ConfigurationError
from perception.data.bags import read_drive, write_drive
from perception.data.kitti import open_kitti
from perception.data.poses import inverse
from perception.data.recorded_drive import RecordedDrive
from perception.types import Boxes3D


def test_boxes_hold_the_points_they_should(kitti_folder: Path, shared: Path, count_inside: Callable) -> None:
    drive = open_kitti(kitti_folder)
    (frame,) = drive.frames
    assert drive.frame_count == 1
    assert len(frame.frame.cloud) == 17238
    assert frame.objects.class_names == ("car",) * 6
    assert any("DontCare" in note for note in drive.notes)
    in_camera = _in_rectified_camera(frame.frame.cloud.points, frame.objects, shared)
    # One point more: the heading, made level in the LiDAR's frame, comes back turned by a ten-thousandth.
    assert count_inside(*in_camera) == [1425, 1940, 878, 668, 53, 164]
    # The camera leans against the LiDAR by 0.6 degrees, and here boxes stand upright in the LiDAR's frame, as in every
    # detector's: a few points at the rims change sides. KITTI's own counts: 1325, 1900, 881, 659, 55, 162.
    assert count_inside(frame.frame.cloud.points, frame.objects) == [1426, 1933, 881, 666, 54, 169]


def test_levels_of_difficulty_come_along_in_a_bag(kitti_folder: Path, tmp_path: Path) -> None:
    labels = kitti_folder / "training" / "label_2" / "000008.txt"
    # The last car, which is easy, again as its neighbours.
    easy = labels.read_text().splitlines()[5].removeprefix("Car")
    labels.write_text(labels.read_text() + f"Van{easy}\nPerson_sitting{easy}\nPedestrian{easy}\n")
    (frame,) = open_kitti(kitti_folder).frames
    # By KITTI's table: cut off; partly hidden; cut off and hidden; partly hidden; 39.6 pixels high; nothing of these.
    assert frame.difficulty.tolist() == [3, 1, 3, 1, 1, 0, 3, 3, 0]
    write_drive(tmp_path / "bag", [frame])
    for found in (*read_drive(tmp_path / "bag"), *RecordedDrive(tmp_path / "bag").frames()):
        assert found.difficulty.tolist() == frame.difficulty.tolist()
        assert found.objects.class_names == frame.objects.class_names


def _in_rectified_camera(points: np.ndarray, boxes: Boxes3D, shared: Path) -> tuple[np.ndarray, Boxes3D]:
    """Points and boxes in rectified camera 0, turned to x forward, y left, z up; there boxes were labelled upright."""
    sample = json.loads((shared / "data" / "kitti_sample" / "sample.json").read_text())
    turn = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    camera_from_lidar = np.array(sample["lidar_to_rectified_camera0"])
    rotation, offset = turn @ camera_from_lidar[:3, :3], turn @ camera_from_lidar[:3, 3]
    headings = np.stack([np.cos(boxes.yaws), np.sin(boxes.yaws), np.zeros(len(boxes))], axis=1) @ rotation.T
    moved = dataclasses.replace(
        boxes, centers=boxes.centers @ rotation.T + offset, yaws=np.arctan2(headings[:, 1], headings[:, 0])
    )
    return points[:, :3].astype(np.float64) @ rotation.T + offset, moved


def test_every_point_projects_into_the_image(kitti_folder: Path, shared: Path) -> None:
    (frame,) = open_kitti(kitti_folder).frames
    (image,) = frame.images
    assert (image.width, image.height, image.format) == (1242, 375, "png")
    camera_from_lidar = inverse(image.base_from_camera) @ frame.base_from_lidar
    points = frame.frame.cloud.points[:, :3].astype(np.float64)
    pixels = (points @ camera_from_lidar[:3, :3].T + camera_from_lidar[:3, 3]) @ image.intrinsics.T
    assert (pixels[:, 2] > 0).all()
    pixels = pixels[:, :2] / pixels[:, 2:]
    assert ((pixels >= -0.5) & (pixels <= (1242.5, 375.5))).all()
    lidar_to_image2 = np.array(json.loads((shared / "data/kitti_sample/sample.json").read_text())["lidar_to_image2"])
    expected = points @ lidar_to_image2[:3, :3].T + lidar_to_image2[:3, 3]
    # The calibration's rotations are rounded to float32, and ours are made exact: a hundredth of a pixel.
    np.testing.assert_allclose(pixels, expected[:, :2] / expected[:, 2:], atol=0.01)


def test_testing_folder_has_no_labels(kitti_folder: Path) -> None:
    for file in (kitti_folder / "training" / "label_2").iterdir():
        file.unlink()
    (kitti_folder / "training" / "label_2").rmdir()
    drive = open_kitti(kitti_folder / "training")
    assert next(iter(drive.frames)).objects is None
    assert any("no ground truth" in note for note in drive.notes)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda folder: (folder / "velodyne/000008.bin").write_bytes(bytes(17)),
            r"000008\.bin: 17 bytes are not a whole",
        ),
        (lambda folder: (folder / "calib/000008.txt").unlink(), r"calib/000008\.txt: cannot be read"),
        (
            lambda folder: (folder / "calib/000008.txt").write_text("P2: 1 2 3\n"),
            r"000008\.txt: P2: expected 12 numbers",
        ),
        (lambda folder: (folder / "calib/000008.txt").write_text("P2: 1\n"), r"000008\.txt: P2: expected 12 numbers"),
        (lambda folder: (folder / "calib/000008.txt").write_text(""), r"no entry 'R0_rect' \(it has: none\)"),
        (lambda folder: (folder / "label_2/000008.txt").write_text("Car 1 2\n"), r"000008\.txt: not a line of KITTI's"),
        (lambda folder: (folder / "label_2/000008.txt").unlink(), r"label_2/000008\.txt: cannot be read"),
        (lambda folder: (folder / "image_2/000008.png").write_bytes(b"GIF89a"), r"000008\.png: not a PNG image"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_file(
    kitti_folder: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(kitti_folder / "training")
    with pytest.raises(ConfigurationError, match=message) as caught:
        list(open_kitti(kitti_folder).frames)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_something_else(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no velodyne/\*\.bin"):
        open_kitti(tmp_path)
