"""Fixtures for drives, and for the real samples laid out as the data sets' own folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from perception.data.drive import CameraImage, DriveFrame
from perception.data.poses import rigid_transform, rotation_of
from perception.types import Boxes3D, Frame, PointCloud

START_NS = 1_700_000_000_123_456_789
PERIOD_NS = 100_000_000


def _full_frame(index: int = 0, point_count: int = 50) -> DriveFrame:
    generator = np.random.default_rng(index)
    stamp_ns = START_NS + index * PERIOD_NS
    points = generator.normal(size=(point_count, 4)).astype(np.float32)
    box_count = index % 4
    return DriveFrame(
        frame=Frame(
            PointCloud(
                points,
                time_s=generator.uniform(0, 0.1, point_count).astype(np.float32),
                ring=generator.integers(0, 1 << 16, point_count, dtype=np.uint16),
            ),
            stamp_ns,
            "lidar",
        ),
        base_from_lidar=rigid_transform(rotation_of((0.1, -0.2, 0.3, 0.9)), (0.5, 0.0, 1.73)),
        class_ids=generator.integers(0, 256, point_count, dtype=np.uint8),
        instance_ids=generator.integers(0, 1 << 32, point_count, dtype=np.uint32),
        objects=Boxes3D(
            centers=generator.normal(size=(box_count, 3)).astype(np.float32),
            sizes=generator.uniform(0.5, 5, (box_count, 3)).astype(np.float32),
            yaws=generator.uniform(-3.1, 3.1, box_count).astype(np.float32),
            class_names=("car", "pedestrian", "bus", "truck")[:box_count],
            scores=np.ones(box_count, np.float32),
            velocities=np.where(np.arange(box_count)[:, None] == 1, np.nan, 2.5).astype(np.float32)
            * np.ones((1, 2), "f4"),
            ids=tuple(f"object {number}" for number in range(box_count)),
        ),
        odom_from_base=rigid_transform(rotation_of((0, 0, np.sin(index / 20), np.cos(index / 20))), (index, 0.1, 0)),
        twist=generator.normal(size=6),
        images=tuple(
            CameraImage(
                name=name,
                stamp_ns=stamp_ns + delay_ns,
                encoded=bytes(generator.integers(0, 256, 30, dtype=np.uint8)),
                format=image_format,
                width=1600,
                height=900,
                intrinsics=np.array([[1266.4, 0, 816.3], [0, 1266.4, 491.5], [0, 0, 1]]),
                base_from_camera=rigid_transform(rotation_of((0.5, -0.5, 0.5, -0.5)), (1.7, 0, 1.5)),
            )
            for name, delay_ns, image_format in (("CAM_FRONT", 12_345, "jpeg"), ("CAM_BACK", -35_000_000, "png"))
        ),
    )


@pytest.fixture
def full_frame() -> Callable[..., DriveFrame]:
    """Make frame `index` of a drive in which everything is known."""
    return _full_frame


@pytest.fixture
def bare_frame() -> Callable[..., DriveFrame]:
    """Make frame `index` of a drive in which only the points are known."""

    def make(index: int = 0, point_count: int = 50) -> DriveFrame:
        points = np.random.default_rng(index).normal(size=(point_count, 4)).astype(np.float32)
        return DriveFrame(Frame(PointCloud(points), START_NS + index * PERIOD_NS, "lidar"), np.eye(4))

    return make


@pytest.fixture
def count_inside() -> Callable[[NDArray[np.float32], Boxes3D], list[int]]:
    """Count a cloud's points inside each box."""

    def count(points: NDArray[np.float32], boxes: Boxes3D) -> list[int]:
        counts = []
        for center, size, yaw in zip(boxes.centers, boxes.sizes, boxes.yaws, strict=True):
            offset = points[:, :3].astype(np.float64) - center
            along = offset[:, 0] * np.cos(yaw) + offset[:, 1] * np.sin(yaw)
            across = offset[:, 1] * np.cos(yaw) - offset[:, 0] * np.sin(yaw)
            inside = np.abs(np.stack([along, across, offset[:, 2]], axis=1)) <= size / 2
            counts.append(int(inside.all(axis=1).sum()))
        return counts

    return count


@pytest.fixture
def kitti_folder(shared: Path, tmp_path: Path) -> Path:
    """The real KITTI frame 000008 as the data set lays it out."""
    import json
    import shutil

    source = shared / "data" / "kitti_sample"
    sample = json.loads((source / "sample.json").read_text())
    training = tmp_path / "kitti" / "training"
    for name in ("velodyne", "image_2", "calib", "label_2"):
        (training / name).mkdir(parents=True)
    shutil.copy(source / "000008.bin", training / "velodyne")
    shutil.copy(source / "000008.png", training / "image_2")

    def line(name: str, matrix: list[list[float]], rows: int, columns: int) -> str:
        values = np.array(matrix)[:rows, :columns].reshape(-1)
        return f"{name}: " + " ".join(f"{value:.12e}" for value in values)

    lines = [line(f"P{camera}", sample["projection"][f"CAM{camera}"], 3, 4) for camera in range(4)]
    lines.append(line("R0_rect", sample["rectification_R0"], 3, 3))
    lines.append(line("Tr_velo_to_cam", sample["lidar"]["velodyne_to_camera0_unrectified"], 3, 4))
    lines.append(line("Tr_imu_to_velo", sample["lidar"]["imu_to_velodyne"], 3, 4))
    (training / "calib" / "000008.txt").write_text("\n".join(lines) + "\n\n")
    (training / "label_2" / "000008.txt").write_text("".join(_kitti_label(box) for box in sample["boxes"]))
    return tmp_path / "kitti"


def _kitti_label(box: dict[str, object]) -> str:
    length, height, width = box.get("size_lhw") or (-1, -1, -1)
    x, y, z = box.get("bottom_center_camera") or (-1000, -1000, -1000)
    rotation_y = box.get("rotation_y")
    rotation_y = -10 if rotation_y is None else rotation_y
    left, top, right, bottom = box["box2d_xyxy"]
    return (
        f"{box['name']} {box.get('truncated', -1)} {box.get('occluded', -1)} {box.get('alpha', -10)} "
        f"{left} {top} {right} {bottom} {height} {width} {length} {x} {y} {z} {rotation_y}\n"
    )
