"""nuScenes: one scene's sweeps with six cameras, boxes, velocities and the vehicle's motion.

Source: Caesar et al., "nuScenes", CVPR 2020. The LiDAR's frame there is x right, y forward, z up, and its coordinates
are kept; `base_from_lidar` says how it sits on the vehicle, whose frame is nuScenes' ego frame (the middle of the rear
axle, on the ground).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perception.configuration import ConfigurationError
from perception.data.drive import CameraImage, Drive, DriveFrame
from perception.data.files import read_bytes, read_points
from perception.data.nuscenes_boxes import boxes_of
from perception.data.nuscenes_tables import Row, SceneTables, load_scene
from perception.data.poses import inverse, rigid_transform, rotation_of, twists_along
from perception.types import Frame, PointCloud

LIDAR = "LIDAR_TOP"
#: In the order that BEVFusion's checkpoints expect.
CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_FRONT_LEFT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_BACK_RIGHT")
#: An image further in time than this from a sweep is not of the same moment: half a camera's period is 42 ms.
MAX_CAMERA_DELAY_US = 60_000


def open_nuscenes(
    folder: Path,
    version: str | None = None,
    scene: str | None = None,
    keyframes_only: bool = False,
    cameras: bool = True,
) -> Drive:
    """Open one scene; files are read as frames are asked for.

    Args:
        folder: holds `v1.0-*/`, `samples/` and, unless only key frames are wanted, `sweeps/`.
        version: as in "v1.0-mini"; needed where there are several.
        scene: as in "scene-0061"; needed where there are several.
        keyframes_only: the 2 Hz frames with boxes; otherwise every sweep at 20 Hz, boxes with the key frames.
        cameras: read their images too.

    Raises:
        ConfigurationError: a table is missing or damaged, or version or scene are not there or not said.
    """
    try:
        return _open(folder, load_scene(folder, version, scene), keyframes_only, cameras)
    except KeyError as error:
        raise ConfigurationError(
            f"{folder}: its JSON tables contradict each other: nothing is known of {error}"
        ) from None


def _open(folder: Path, tables: SceneTables, keyframes_only: bool, cameras: bool) -> Drive:
    sweeps = [row for row in tables.sensor_data.get(LIDAR, []) if row["is_key_frame"] or not keyframes_only]
    if not sweeps:
        raise ConfigurationError(f"{folder}: scene {tables.name} has no data of {LIDAR}")
    notes = [
        f"scene {tables.name}",
        "objects outside the ten detection classes are left out",
        "lidarseg labels are left out: their classes do not map to SemanticKITTI's one to one",
    ]
    images = _images_of(tables, sweeps, keyframes_only) if cameras else [[] for _ in sweeps]
    return Drive(len(sweeps), _Scene.of(folder, tables, sweeps, images), tuple(notes))


def transform_of(row: Row) -> NDArray[np.float64]:
    """Make parent_from_child, float64 [4, 4], of a row with `translation` and `rotation` (w, x, y, z)."""
    w, x, y, z = row["rotation"]
    return rigid_transform(rotation_of((x, y, z, w)), row["translation"])


@dataclass(frozen=True)
class _Scene:
    folder: Path
    tables: SceneTables
    sweeps: list[Row]
    images: list[list[Row]]
    global_from_base: NDArray[np.float64]
    twists: NDArray[np.float64]

    @classmethod
    def of(cls, folder: Path, tables: SceneTables, sweeps: list[Row], images: list[list[Row]]) -> _Scene:
        global_from_base = np.array([transform_of(tables.ego_poses[row["ego_pose_token"]]) for row in sweeps])
        stamps_ns = np.array([row["timestamp"] for row in sweeps], np.int64) * 1000
        return cls(
            folder=folder,
            tables=tables,
            sweeps=sweeps,
            images=images,
            global_from_base=global_from_base,
            twists=twists_along(global_from_base, stamps_ns),
        )

    def __iter__(self) -> Iterator[DriveFrame]:
        return (self._frame(index) for index in range(len(self.sweeps)))

    def _frame(self, index: int) -> DriveFrame:
        sweep = self.sweeps[index]
        base_from_lidar = transform_of(self.tables.calibrations[sweep["calibrated_sensor_token"]])
        lidar_from_global = inverse(self.global_from_base[index] @ base_from_lidar)
        return DriveFrame(
            frame=Frame(read_sweep(self.folder / sweep["filename"]), sweep["timestamp"] * 1000, "lidar"),
            base_from_lidar=base_from_lidar,
            objects=boxes_of(self.tables, sweep["sample_token"], lidar_from_global) if sweep["is_key_frame"] else None,
            # Global coordinates are hundreds of metres, too far for float32 consumers: the drive starts at the origin.
            odom_from_base=inverse(self.global_from_base[0]) @ self.global_from_base[index],
            twist=self.twists[index],
            images=tuple(self._image(row) for row in self.images[index]),
        )

    def _image(self, row: Row) -> CameraImage:
        calibration = self.tables.calibrations[row["calibrated_sensor_token"]]
        path = self.folder / row["filename"]
        return CameraImage(
            name=path.parent.name,
            stamp_ns=row["timestamp"] * 1000,
            encoded=read_bytes(path),
            format="png" if path.suffix == ".png" else "jpeg",
            width=row["width"],
            height=row["height"],
            intrinsics=np.array(calibration["camera_intrinsic"], np.float64),
            base_from_camera=transform_of(calibration),
        )


def read_sweep(path: Path) -> PointCloud:
    """Read x, y, z, intensity 0..255 and ring of every point."""
    rows = read_points(path, 5)
    points = rows[:, :4].copy()
    points[:, 3] /= 255
    return PointCloud(points, ring=rows[:, 4].astype(np.uint16))


def _images_of(tables: SceneTables, sweeps: list[Row], keyframes_only: bool) -> list[list[Row]]:
    """Rows of each camera's image for each sweep: a key frame's own, otherwise the nearest in time, each used once."""
    stamps_us = np.array([sweep["timestamp"] for sweep in sweeps], np.int64)
    sweep_of_sample = {sweep["sample_token"]: index for index, sweep in enumerate(sweeps) if sweep["is_key_frame"]}
    images: list[dict[str, Row]] = [{} for _ in sweeps]
    for camera in CAMERAS:
        rows = tables.sensor_data.get(camera, [])
        for row in sorted(rows, key=lambda row: not row["is_key_frame"]):
            if row["is_key_frame"]:
                index = sweep_of_sample.get(row["sample_token"])
            else:
                nearest = int(np.abs(stamps_us - row["timestamp"]).argmin())
                near = abs(int(stamps_us[nearest]) - row["timestamp"]) <= MAX_CAMERA_DELAY_US
                index = nearest if near and not keyframes_only else None
            if index is not None:
                images[index].setdefault(camera, row)
    return [list(chosen.values()) for chosen in images]
