"""KITTI's 3-D object detection set: sweeps with the left colour camera's images and boxes.

Source: Geiger, Lenz, Urtasun, CVPR 2012. The folder holds `training/velodyne`, `calib`, `image_2` and `label_2`; images
and labels may be missing. Its frames are picked from many drives, so nothing connects one frame with the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perception.configuration import ConfigurationError
from perception.data.drive import CameraImage, Drive, DriveFrame
from perception.data.files import read_bytes, read_calibration, read_points
from perception.data.kitti_levels import LEVELS, levels_in_image
from perception.data.kitti_vehicle import BASE_FROM_LIDAR, PERIOD_NS, START_NS, camera_image, entry
from perception.data.poses import inverse
from perception.types import Boxes3D, Frame, PointCloud

#: KITTI's types by the names of nuScenes; Tram, Misc and DontCare have no counterpart.
CLASS_OF_TYPE = {
    "Car": "car",
    "Van": "car",
    "Truck": "truck",
    "Pedestrian": "pedestrian",
    "Person_sitting": "pedestrian",
    "Cyclist": "bicycle",
}
#: Which KITTI counts neither as found nor as missed: they are no Car, and no Pedestrian, yet much like one.
NEIGHBOURS = ("Van", "Person_sitting")
TYPES_LEFT_OUT = ("Tram", "Misc", "DontCare")


def open_kitti(folder: Path) -> Drive:
    """Open the set's folder, or its `training` or `testing` folder; files are read as frames are asked for.

    Raises:
        ConfigurationError: there are no sweeps or no calibration.
    """
    folder = folder / "training" if (folder / "training").is_dir() else folder
    scans = sorted((folder / "velodyne").glob("*.bin"))
    if not scans:
        raise ConfigurationError(f"{folder}: no velodyne/*.bin; give the folder that holds training/velodyne")
    if not (folder / "calib").is_dir():
        raise ConfigurationError(f"{folder}: no calib/ folder; download KITTI's camera calibration matrices")
    notes = ["the set's frames are not one drive: no ego motion, stamps at 10 Hz"]
    frames = _Frames(scans, folder, (folder / "image_2").is_dir(), (folder / "label_2").is_dir())
    if frames.has_labels:
        notes.append("Van and Person_sitting are cars and pedestrians that no level of difficulty counts")
        notes.append(f"boxes of {', '.join(TYPES_LEFT_OUT)} are left out: nuScenes has no such class")
    else:
        notes.append("no label_2: the bag has no ground truth")
    return Drive(len(scans), frames, tuple(notes))


def read_boxes(path: Path, camera0_from_lidar: NDArray[np.float64]) -> tuple[Boxes3D, NDArray[np.uint8]]:
    """Read a label file: its boxes, moved into the LiDAR's frame, geometric centres, and KITTI's level of each.

    In the file a box stands on its bottom centre in rectified camera 0 (x right, y down, z forward), and its length
    lies along (cos rotation_y, 0, -sin rotation_y).

    Raises:
        ConfigurationError: it cannot be read, a line is too short, or a type is unknown.
    """
    lines = read_bytes(path).decode(errors="replace").splitlines()
    objects = [line.split() for line in lines if line.strip()]
    for words in objects:
        if len(words) < 15 or words[0] not in (*CLASS_OF_TYPE, *TYPES_LEFT_OUT):
            raise ConfigurationError(f"{path}: not a line of KITTI's object labels: '{' '.join(words)[:60]}'")
    kept = [words for words in objects if words[0] in CLASS_OF_TYPE]
    try:
        numbers = np.array([[float(word) for word in words[1:15]] for words in kept]).reshape(-1, 14)
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from None
    types = [words[0] for words in kept]
    sizes, bottoms, rotations_y = numbers[:, [9, 8, 7]], numbers[:, 10:13], numbers[:, 13]
    levels = levels_in_image(numbers[:, 6] - numbers[:, 4], numbers[:, 1], numbers[:, 0])
    levels[[one in NEIGHBOURS for one in types]] = len(LEVELS)
    return boxes_from_camera(types, bottoms, sizes, rotations_y, camera0_from_lidar), levels.astype(np.uint8)


def boxes_from_camera(
    types: Sequence[str],
    bottoms: NDArray[np.float64],
    sizes: NDArray[np.float64],
    rotations_y: NDArray[np.float64],
    camera0_from_lidar: NDArray[np.float64],
) -> Boxes3D:
    """Move boxes out of rectified camera 0 into the LiDAR's frame.

    Args:
        types: KITTI's, of `CLASS_OF_TYPE`.
        bottoms: float64 [M, 3], bottom centres in the camera's frame (m).
        sizes: float64 [M, 3], length, width, height (m).
        rotations_y: float64 [M], about the camera's y (rad).
        camera0_from_lidar: float64 [4, 4].
    """
    lidar_from_camera0, nothing = inverse(camera0_from_lidar), np.zeros(len(types))
    middles = bottoms - np.stack([nothing, sizes[:, 2] / 2, nothing], axis=1)
    along = np.stack([np.cos(rotations_y), nothing, -np.sin(rotations_y)], axis=1) @ lidar_from_camera0[:3, :3].T
    return Boxes3D(
        centers=(middles @ lidar_from_camera0[:3, :3].T + lidar_from_camera0[:3, 3]).astype(np.float32),
        sizes=sizes.astype(np.float32),
        yaws=np.arctan2(along[:, 1], along[:, 0]).astype(np.float32),
        class_names=tuple(CLASS_OF_TYPE[one] for one in types),
        scores=np.ones(len(types), np.float32),
        velocities=np.full((len(types), 2), np.nan, np.float32),
    )


@dataclass(frozen=True)
class _Frames:
    scans: list[Path]
    folder: Path
    has_images: bool
    has_labels: bool

    def __iter__(self) -> Iterator[DriveFrame]:
        return (self._frame(index) for index in range(len(self.scans)))

    def _frame(self, index: int) -> DriveFrame:
        scan, stamp_ns = self.scans[index], START_NS + index * PERIOD_NS
        calibration_path = self.folder / "calib" / f"{scan.stem}.txt"
        calibration = read_calibration(calibration_path)
        rectification = entry(calibration, "R0_rect", calibration_path)
        camera0_from_lidar = rectification @ entry(calibration, "Tr_velo_to_cam", calibration_path)
        images: tuple[CameraImage, ...] = ()
        if self.has_images:
            image_path = self.folder / "image_2" / f"{scan.stem}.png"
            projection = entry(calibration, "P2", calibration_path)
            images = (camera_image(image_path, "image_2", stamp_ns, projection, camera0_from_lidar),)
        label_path = self.folder / "label_2" / f"{scan.stem}.txt"
        objects, difficulty = read_boxes(label_path, camera0_from_lidar) if self.has_labels else (None, None)
        return DriveFrame(
            frame=Frame(PointCloud(read_points(scan, 4)), stamp_ns, "lidar"),
            base_from_lidar=BASE_FROM_LIDAR,
            objects=objects,
            difficulty=difficulty,
            images=images,
        )
