"""Ground-truth boxes: where each object was when the sweeping beam passed its centre."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perception.data.simulation.lidar import SpinningLidar
from perception.data.simulation.models import ObjectModel
from perception.types import Boxes3D

#: Gives world_from_lidar [T, 4, 4] at times [T] after the start of the sweep.
LidarPoses = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Objects:
    """The objects of one sweep.

    Attributes:
        instance_ids: uint32 [M].
        models: one an object.
        world_from_object: float64 [M, 4, 4] at `time_s` after the start of the sweep.
        velocities: float64 [M, 3], world coordinates.
        time_s: when the poses hold.
    """

    instance_ids: NDArray[np.uint32]
    models: Sequence[ObjectModel]
    world_from_object: NDArray[np.float64]
    velocities: NDArray[np.float64]
    time_s: float


def boxes_of(objects: Objects, seen_ids: NDArray[np.uint32], lidar: SpinningLidar, poses: LidarPoses) -> Boxes3D:
    """Return the boxes of the objects that were hit, in the sensor's frame at the time of each box."""
    chosen = np.flatnonzero(np.isin(objects.instance_ids, seen_ids)).tolist()
    models = [objects.models[index] for index in chosen]
    frames = objects.world_from_object[chosen]
    centers = np.array([model.center for model in models]).reshape(-1, 3)
    world = np.einsum("mij,mj->mi", frames[:, :3, :3], centers) + frames[:, :3, 3]
    velocities = objects.velocities[chosen]
    local, rotations = _when_swept(world, velocities, objects.time_s, lidar, poses)
    forward = np.einsum("mji,mj->mi", rotations, frames[:, :3, 0])
    return Boxes3D(
        centers=local.astype(np.float32),
        sizes=np.array([model.size for model in models], np.float32).reshape(-1, 3),
        yaws=np.arctan2(forward[:, 1], forward[:, 0]).astype(np.float32),
        class_names=tuple(model.box_class for model in models),
        scores=np.ones(len(models), np.float32),
        velocities=np.einsum("mji,mj->mi", rotations, velocities)[:, :2].astype(np.float32),
        ids=tuple(str(objects.instance_ids[index]) for index in chosen),
    )


def _when_swept(
    world: NDArray[np.float64], velocities: NDArray[np.float64], known_s: float, lidar: SpinningLidar, poses: LidarPoses
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Moving points in the sensor's frame as the beam passes, [M, 3], and world_from_lidar's rotations then."""
    times = np.full(len(world), 0.5 * lidar.sweep_s)
    for _ in range(3):
        world_from_lidar = poses(times)
        rotations = world_from_lidar[:, :3, :3]
        moved = world + velocities * (times - known_s)[:, None]
        local = np.einsum("mji,mj->mi", rotations, moved - world_from_lidar[:, :3, 3])
        times = lidar.turn_share(np.arctan2(local[:, 1], local[:, 0])) * lidar.sweep_s
    return local, rotations
