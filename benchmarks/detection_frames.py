"""The real frames with boxes that lie in ../shared, as detectors take them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception.data.kitti import CLASS_OF_TYPE, boxes_from_camera
from perception.types import Boxes3D

SAMPLES = Path(__file__).resolve().parents[2] / "shared" / "data"
#: nuScenes' LiDAR looks along y, vehicles and our networks along x.
AHEAD_FROM_NUSCENES = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]], np.float64)
NUSCENES_INTENSITY = 255.0


class RealFrame(NamedTuple):
    """A recorded sweep: points float32 [N, 4], x ahead, y left, z up (m), intensity 0..1, and its boxes."""

    name: str
    points: NDArray[np.float32]
    truth: Boxes3D


def real_frames() -> Iterator[RealFrame]:
    """The frames that are there."""
    for name, read in (("kitti", kitti_frame), ("nuscenes", nuscenes_frame)):
        folder = SAMPLES / f"{name}_sample"
        if folder.is_dir():
            yield read(folder, json.loads((folder / "sample.json").read_text()))


def kitti_frame(folder: Path, sample: dict[str, Any]) -> RealFrame:
    """Read KITTI's frame, which is cut to the camera's view; boxes come from rectified camera 0."""
    points = np.fromfile(folder / sample["lidar"]["file"], np.float32).reshape(-1, 4)
    rows = [box for box in sample["boxes"] if box["name"] in CLASS_OF_TYPE]
    types = [box["name"] for box in rows]
    bottoms, lengths_heights_widths, rotations_y = (
        np.array([box[name] for box in rows]) for name in ("bottom_center_camera", "size_lhw", "rotation_y")
    )
    camera0_from_lidar = np.array(sample["lidar_to_rectified_camera0"])
    sizes = lengths_heights_widths[:, [0, 2, 1]]
    return RealFrame("kitti", points, boxes_from_camera(types, bottoms, sizes, rotations_y, camera0_from_lidar))


def nuscenes_frame(folder: Path, sample: dict[str, Any]) -> RealFrame:
    """Read nuScenes' sweep, turned so that x is ahead."""
    points = np.fromfile(folder / sample["lidar"]["file"], np.float32).reshape(-1, 5)[:, :4]
    turned = np.concatenate([points[:, :3] @ AHEAD_FROM_NUSCENES.T, points[:, 3:] / NUSCENES_INTENSITY], 1)
    rows = [box for box in sample["boxes"] if box["name"] != "ignore"]
    yaws = np.array([box["yaw"] for box in rows]) - np.pi / 2
    centers = np.array([box["center"] for box in rows]) @ AHEAD_FROM_NUSCENES.T
    truth = boxes_of(centers, np.array([box["size_lwh"] for box in rows]), yaws, [box["name"] for box in rows])
    return RealFrame("nuscenes", np.ascontiguousarray(turned, np.float32), truth)


def boxes_of(
    centers: NDArray[np.floating], sizes: NDArray[np.floating], yaws: NDArray[np.floating], names: Sequence[str]
) -> Boxes3D:
    """Put boxes together whose velocities are not known."""
    count = len(names)
    geometry = (part.astype(np.float32) for part in (centers, sizes, yaws))
    velocities = np.full((count, 2), np.nan, np.float32)
    return Boxes3D(*geometry, tuple(names), np.ones(count, np.float32), velocities)
