"""Ground-truth boxes of nuScenes in a sweep's frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perception.data.nuscenes_tables import Row, SceneTables
from perception.data.poses import rotation_of
from perception.types import Boxes3D

#: The detection task's class of each category; categories that are not here take no part in it.
CLASS_OF_CATEGORY = {
    "vehicle.car": "car",
    "vehicle.truck": "truck",
    "vehicle.construction": "construction_vehicle",
    "vehicle.bus.bendy": "bus",
    "vehicle.bus.rigid": "bus",
    "vehicle.trailer": "trailer",
    "movable_object.barrier": "barrier",
    "vehicle.motorcycle": "motorcycle",
    "vehicle.bicycle": "bicycle",
    "human.pedestrian.adult": "pedestrian",
    "human.pedestrian.child": "pedestrian",
    "human.pedestrian.construction_worker": "pedestrian",
    "human.pedestrian.police_officer": "pedestrian",
    "movable_object.trafficcone": "traffic_cone",
}

#: Positions further apart in time say nothing about a velocity (the limit of nuScenes' own tools).
MAX_VELOCITY_INTERVAL_S = 1.5


def boxes_of(tables: SceneTables, sample_token: str, lidar_from_global: NDArray[np.float64]) -> Boxes3D:
    """Boxes of one key frame, moved into the LiDAR's frame [4, 4]; ids are nuScenes' instance tokens."""
    rows = [
        row
        for row in tables.annotations.values()
        if row["sample_token"] == sample_token and tables.categories[row["instance_token"]] in CLASS_OF_CATEGORY
    ]
    rotation = lidar_from_global[:3, :3]
    centers = np.array([row["translation"] for row in rows], np.float64).reshape(-1, 3)
    width_length_height = np.array([row["size"] for row in rows], np.float32).reshape(-1, 3)
    headings = np.array([rotation @ _heading(row) for row in rows]).reshape(-1, 3)
    velocities = np.array([rotation @ velocity_of(tables, row) for row in rows]).reshape(-1, 3)
    return Boxes3D(
        centers=(centers @ rotation.T + lidar_from_global[:3, 3]).astype(np.float32),
        sizes=width_length_height[:, [1, 0, 2]],
        yaws=np.arctan2(headings[:, 1], headings[:, 0]).astype(np.float32),
        class_names=tuple(CLASS_OF_CATEGORY[tables.categories[row["instance_token"]]] for row in rows),
        scores=np.ones(len(rows), np.float32),
        velocities=velocities[:, :2].astype(np.float32),
        ids=tuple(row["instance_token"] for row in rows),
    )


def velocity_of(tables: SceneTables, row: Row) -> NDArray[np.float64]:
    """Velocity [3] in the global frame from the object's neighbouring key frames, NaN where they are too far apart."""
    before = tables.annotations.get(row["prev"])
    after = tables.annotations.get(row["next"])
    first, last = before or row, after or row
    seconds = (
        tables.samples[last["sample_token"]]["timestamp"] - tables.samples[first["sample_token"]]["timestamp"]
    ) / 1e6
    limit_s = MAX_VELOCITY_INTERVAL_S * (2 if before and after else 1)
    if not 0 < seconds <= limit_s:
        return np.full(3, np.nan)
    return np.subtract(last["translation"], first["translation"]) / seconds


def _heading(row: Row) -> NDArray[np.float64]:
    """Direction [3] of a box's length in the global frame."""
    w, x, y, z = row["rotation"]
    return rotation_of((x, y, z, w))[:, 0]
