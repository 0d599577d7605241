"""SemanticKITTI sequences: labelled sweeps with the vehicle's motion.

Source: Behley et al., "SemanticKITTI", ICCV 2019. A sequence's folder holds `velodyne/`, `labels/`, `poses.txt`,
`calib.txt`, `times.txt` and, from KITTI's odometry set, `image_2/` and `image_3/`; all but the sweeps may be missing.
Sweeps and labels side by side in one folder are read too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perception.classes import semantic_kitti_classes_of
from perception.configuration import ConfigurationError
from perception.data.drive import CameraImage, Drive, DriveFrame
from perception.data.files import read_bytes, read_calibration, read_numbers, read_points
from perception.data.kitti_vehicle import BASE_FROM_LIDAR, PERIOD_NS, START_NS, camera_image, entry
from perception.data.poses import inverse, twists_along
from perception.types import Frame, PointCloud


def open_semantic_kitti(folder: Path) -> Drive:
    """Open a sequence's folder; files are read as frames are asked for.

    Raises:
        ConfigurationError: there are no sweeps, or the motion's files contradict them.
    """
    sequence = _Sequence.open(folder)
    notes = []
    if sequence.label_folder is None:
        notes.append("no labels: the bag has no ground truth")
    if sequence.odom_from_base is None:
        notes.append("no poses.txt: the bag has no ego motion")
    if sequence.times_are_assumed:
        notes.append("no times.txt: sweeps are stamped at 10 Hz")
    return Drive(len(sequence.scans), sequence, tuple(notes))


def labelled_scans(folder: Path) -> list[tuple[Path, Path]]:
    """List the sweeps of a sequence's folder in order, each with the file of its labels.

    Raises:
        ConfigurationError: there are no sweeps, or no labels.
    """
    scans, label_folder = _scans(folder)
    if label_folder is None:
        raise ConfigurationError(f"{folder}: no labels (labels/*.label); training and scoring need a labelled sequence")
    return [(scan, label_folder / f"{scan.stem}.label") for scan in scans]


def read_labels(path: Path, point_count: int) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    """Read a label file: class ids uint8 [N] and instance ids uint32 [N].

    Instance numbers (the word's high half) start again in every class, so the whole word identifies an object.

    Raises:
        ConfigurationError: there is not one label a point.
    """
    data = read_bytes(path)
    if len(data) != 4 * point_count:
        raise ConfigurationError(f"{path}: {len(data) / 4:g} labels for a sweep of {point_count} points")
    words = np.frombuffer(data, "<u4").astype(np.uint32, copy=False)
    return semantic_kitti_classes_of(words), np.where(words >> 16 != 0, words, np.uint32(0))


@dataclass(frozen=True)
class _Sequence:
    scans: list[Path]
    label_folder: Path | None
    stamps_ns: NDArray[np.int64]
    times_are_assumed: bool
    odom_from_base: NDArray[np.float64] | None
    twists: NDArray[np.float64] | None
    calibration_path: Path
    calibration: dict[str, NDArray[np.float64]]
    image_folders: tuple[Path, ...]

    @classmethod
    def open(cls, folder: Path) -> _Sequence:
        """Find the parts of a sequence and read its small files."""
        scans, label_folder = _scans(folder)
        indices = _indices(scans)
        calibration_path = folder / "calib.txt"
        calibration = read_calibration(calibration_path) if calibration_path.is_file() else {}
        stamps_ns, times_are_assumed = _stamps(folder / "times.txt", indices)
        odom_from_base = _ego_motion(folder / "poses.txt", indices, calibration, calibration_path)
        image_folders = [folder / f"image_{number}" for number in (2, 3) if f"P{number}" in calibration]
        return cls(
            scans=scans,
            label_folder=label_folder,
            stamps_ns=stamps_ns,
            times_are_assumed=times_are_assumed,
            odom_from_base=odom_from_base,
            twists=None if odom_from_base is None else twists_along(odom_from_base, stamps_ns),
            calibration_path=calibration_path,
            calibration=calibration,
            image_folders=tuple(image_folder for image_folder in image_folders if image_folder.is_dir()),
        )

    def __iter__(self) -> Iterator[DriveFrame]:
        return (self._frame(index) for index in range(len(self.scans)))

    def _frame(self, index: int) -> DriveFrame:
        scan, stamp_ns = self.scans[index], int(self.stamps_ns[index])
        points = read_points(scan, 4)
        class_ids, instance_ids = None, None
        if self.label_folder is not None:
            class_ids, instance_ids = read_labels(self.label_folder / f"{scan.stem}.label", len(points))
        return DriveFrame(
            frame=Frame(PointCloud(points), stamp_ns, "lidar"),
            base_from_lidar=BASE_FROM_LIDAR,
            class_ids=class_ids,
            instance_ids=instance_ids,
            odom_from_base=None if self.odom_from_base is None else self.odom_from_base[index],
            twist=None if self.twists is None else self.twists[index],
            images=self._images(scan.stem, stamp_ns),
        )

    def _images(self, stem: str, stamp_ns: int) -> tuple[CameraImage, ...]:
        camera0_from_lidar = entry(self.calibration, "Tr", self.calibration_path) if self.image_folders else np.eye(4)
        return tuple(
            camera_image(
                folder / f"{stem}.png",
                folder.name,
                stamp_ns,
                entry(self.calibration, f"P{folder.name[-1]}", self.calibration_path),
                camera0_from_lidar,
            )
            for folder in self.image_folders
        )


def _scans(folder: Path) -> tuple[list[Path], Path | None]:
    """Find a sequence's sweeps and the folder of its labels."""
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: there is no such folder")
    scan_folder = folder / "velodyne" if (folder / "velodyne").is_dir() else folder
    scans = sorted(scan_folder.glob("*.bin"))
    if not scans:
        raise ConfigurationError(f"{folder}: no sweeps (velodyne/*.bin or *.bin); give the folder of one sequence")
    return scans, _label_folder(folder, scan_folder)


def _indices(scans: list[Path]) -> list[int]:
    """Which line of the other files belongs to each sweep: its number, so that a part of a sequence can be read."""
    return [int(scan.stem) if scan.stem.isdigit() else index for index, scan in enumerate(scans)]


def _label_folder(folder: Path, scan_folder: Path) -> Path | None:
    if (folder / "labels").is_dir():
        return folder / "labels"
    return scan_folder if any(scan_folder.glob("*.label")) else None


def _stamps(path: Path, indices: list[int]) -> tuple[NDArray[np.int64], bool]:
    if not path.is_file():
        return START_NS + PERIOD_NS * np.array(indices, np.int64), True
    times_s = _lines_of(path, read_numbers(path, 1), indices)[:, 0]
    return START_NS + np.round(times_s * 1e9).astype(np.int64), False


def _ego_motion(
    path: Path, indices: list[int], calibration: dict[str, NDArray[np.float64]], calibration_path: Path
) -> NDArray[np.float64] | None:
    """Read the poses of camera 0 in its first frame and make them the vehicle's: odom_from_base [K, 4, 4]."""
    if not path.is_file():
        return None
    camera0_from_base = entry(calibration, "Tr", calibration_path) @ inverse(BASE_FROM_LIDAR)
    first_from_camera0 = np.tile(np.eye(4), (len(indices), 1, 1))
    first_from_camera0[:, :3] = _lines_of(path, read_numbers(path, 12), indices).reshape(-1, 3, 4)
    return inverse(camera0_from_base) @ first_from_camera0 @ camera0_from_base


def _lines_of(path: Path, rows: NDArray[np.float64], indices: list[int]) -> NDArray[np.float64]:
    if max(indices) >= len(rows):
        raise ConfigurationError(f"{path}: {len(rows)} lines, but sweep {max(indices)} needs line {max(indices) + 1}")
    return rows[indices]
