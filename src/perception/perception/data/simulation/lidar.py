"""A spinning LiDAR: when and where each beam is sent, and what it meets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perception.data.simulation.casting import CastingScene, Gallery, Hits
from perception.data.simulation.settings import SensorSettings


@dataclass(frozen=True)
class MovingTarget:
    """A mover during one sweep, which lasts too short for it to turn.

    Attributes:
        instance_id: its id.
        gallery_place: float64 [3], where its model stands in the gallery.
        world_from_object: float64 [4, 4] at `time_s` after the start of the sweep.
        velocity: float64 [3], m/s in world coordinates.
        low, high: float64 [3], corners of its box in its own coordinates.
    """

    instance_id: int
    gallery_place: NDArray[np.float64]
    world_from_object: NDArray[np.float64]
    velocity: NDArray[np.float64]
    time_s: float
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def corners_at(self, time_s: float) -> NDArray[np.float64]:
        """Return the corners of the box in world coordinates, float64 [8, 3]."""
        choice = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)], bool)
        corners = np.where(choice, self.high, self.low)
        turned = corners @ self.world_from_object[:3, :3].T + self.world_from_object[:3, 3]
        return turned + self.velocity * (time_s - self.time_s)


class SpinningLidar:
    """The geometry of a sensor: column by column, in each column all beams at once, the lowest (ring 0) first.

    Attributes:
        sweep_s: how long one turn takes.
        times_s: float64 [W], when each column is measured, from the start of the sweep.
        directions: float32 [W, R, 3], unit vectors in the sensor's frame.
        base_from_lidar: float64 [4, 4].
    """

    def __init__(self, sensor: SensorSettings, rate_hz: float) -> None:
        self.sensor = sensor
        self.sweep_s = 1.0 / rate_hz
        self._turn = -1.0 if sensor.clockwise else 1.0
        share = np.arange(sensor.columns) / sensor.columns
        self.times_s = share * self.sweep_s
        azimuth = np.radians(sensor.start_azimuth_deg) + self._turn * 2 * np.pi * share
        self.elevations = sensor.elevations_rad()
        level, up = np.cos(self.elevations), np.sin(self.elevations)
        self.directions = np.stack(
            [np.outer(np.cos(azimuth), level), np.outer(np.sin(azimuth), level), np.tile(up, (len(azimuth), 1))],
            axis=-1,
        ).astype(np.float32)
        yaw = np.radians(sensor.mount.yaw_deg)
        self.base_from_lidar = np.eye(4)
        self.base_from_lidar[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
        self.base_from_lidar[:3, 3] = (sensor.mount.x_m, sensor.mount.y_m, sensor.mount.z_m)

    def turn_share(self, azimuth: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share of a turn, 0..1, after which the sensor looks at azimuths in its own frame."""
        return np.mod(self._turn * (azimuth - np.radians(self.sensor.start_azimuth_deg)) / (2 * np.pi), 1.0)

    def cast(
        self, world_from_lidar: NDArray[np.float64], scene: CastingScene, gallery: Gallery, targets: list[MovingTarget]
    ) -> Hits:
        """Send all beams of one sweep; hits are in order of the columns, in each from the lowest beam up.

        `world_from_lidar`, float64 [W, 4, 4], holds the sensor's pose at each column's time.
        """
        rotations = world_from_lidar[:, :3, :3].astype(np.float32)
        directions = np.matmul(self.directions, rotations.transpose(0, 2, 1))
        origins = world_from_lidar[:, :3, 3]
        rays = np.empty((*directions.shape[:2], 6), np.float32)
        rays[..., :3] = origins[:, None]
        rays[..., 3:] = directions
        hits = scene.cast(rays.reshape(-1, 6))
        windows = [self._window(target, world_from_lidar) for target in targets]
        seen = [(target, window) for target, window in zip(targets, windows, strict=True) if window is not None]
        self._cast_at_movers(hits, directions, origins, gallery, seen)
        return hits

    def _cast_at_movers(
        self,
        hits: Hits,
        directions: NDArray[np.float32],
        origins: NDArray[np.float64],
        gallery: Gallery,
        seen: list[tuple[MovingTarget, tuple[NDArray[np.int64], int, int]]],
    ) -> None:
        """Cast the beams near each mover in the mover's own coordinates at each beam's time."""
        batches, indices, counts = [], [], []
        for target, (columns, low, high) in seen:
            object_from_world = target.world_from_object[:3, :3].T
            moved = target.world_from_object[:3, 3] + np.outer(self.times_s[columns] - target.time_s, target.velocity)
            rays = np.empty((len(columns), high - low, 6), np.float32)
            rays[..., :3] = ((origins[columns] - moved) @ object_from_world.T + target.gallery_place)[:, None]
            rays[..., 3:] = directions[columns, low:high] @ object_from_world.T.astype(np.float32)
            batches.append(rays.reshape(-1, 6))
            indices.append((columns[:, None] * len(self.elevations) + np.arange(low, high)).ravel())
            counts.append(len(batches[-1]))
        if not batches:
            return
        nearer = gallery.cast(np.concatenate(batches))
        ids = np.array([target.instance_id for target, _ in seen], np.uint32)
        nearer.instance_ids[:] = np.repeat(ids, counts)
        start = 0
        for ray_index, count in zip(indices, counts, strict=True):
            hits.replace_nearer(ray_index, nearer.part(slice(start, start + count)))
            start += count

    def _window(
        self, target: MovingTarget, world_from_lidar: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], int, int] | None:
        """Columns and range of rings that may meet a mover anywhere on its way during the sweep."""
        corners = []
        for column, time_s in ((0, 0.0), (-1, self.sweep_s)):
            pose = world_from_lidar[column]
            corners.append((target.corners_at(time_s) - pose[:3, 3]) @ pose[:3, :3])
        points = np.concatenate(corners)
        middle = points.mean(axis=0)
        toward = np.arctan2(middle[1], middle[0])
        aside = np.mod(np.arctan2(points[:, 1], points[:, 0]) - toward + np.pi, 2 * np.pi) - np.pi
        level = np.hypot(points[:, 0], points[:, 1])
        if level.min() > self.sensor.max_range_m:
            return None
        elevation = np.arctan2(points[:, 2], level)
        low, high = np.searchsorted(self.elevations, (elevation.min() - 0.01, elevation.max() + 0.01))
        width = self.sensor.columns
        first, last = np.sort(self._turn * np.array([aside.min(), aside.max()])) * width / (2 * np.pi)
        center = float(self.turn_share(toward)) * width
        columns = np.arange(int(center + first) - 2, min(int(center + last) + 3, int(center + first) - 2 + width))
        return (np.mod(columns, width), int(low), int(high)) if high > low else None
