"""A simulated drive: the recipe that turns a seed into labelled sweeps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from perception.data.drive import DriveFrame
from perception.data.simulation.boxes import Objects, boxes_of
from perception.data.simulation.canvas import PlacedObject
from perception.data.simulation.casting import CastingScene, Gallery
from perception.data.simulation.ego import EgoMotion, SpeedProfile
from perception.data.simulation.lidar import MovingTarget, SpinningLidar
from perception.data.simulation.mesh import merge
from perception.data.simulation.returns import measure
from perception.data.simulation.settings import SensorSettings, StreetSettings, load_sensor
from perception.data.simulation.street import Street
from perception.data.simulation.traffic import Traffic, draw_traffic
from perception.types import Frame, PointCloud

#: Stamp of a drive's first sweep: a fixed date, so that a seed gives the same bag at any time.
START_NS = 1_700_000_000_000_000_000

_STRETCH_M = 40.0


def simulate_drive(
    *,
    seed: int,
    sensor: SensorSettings | str = "hdl64e",
    frames: int,
    rate_hz: float | None = None,
    street: StreetSettings | None = None,
) -> Iterator[DriveFrame]:
    """Drive along a random street and yield every sweep; the same arguments give the same arrays.

    Clouds are raw, as a driver gives them: each point is in the sensor's frame at its own time, `time_s` after the
    stamp, which is the start of the sweep. Points come as the sensor measures: column by column in the order of
    time, in each column from the lowest beam (ring 0) to the highest; beams without a return are left out.
    A box is where its object was when the beam passed the object's centre; in the direction where a sweep begins and
    ends that moment can be either end of the sweep. `odom_from_base` is the pose at the stamp, odom being where the
    drive began.

    Args:
        seed: draws the street, the traffic and the noise.
        sensor: settings, or the name of a file in config/sensors.
        frames: how many sweeps to make.
        rate_hz: turns a second; the sensor's own rate where None.
        street: how full the street is.

    Raises:
        ConfigurationError: no such sensor, or its file is wrong.
    """
    settings = load_sensor(sensor) if isinstance(sensor, str) else sensor
    lidar = SpinningLidar(settings, settings.rate_hz if rate_hz is None else rate_hz)
    drive = SimulatedDrive(seed, lidar, frames, street or StreetSettings())
    return (drive.sweep(index) for index in range(frames))


class SimulatedDrive:
    """The world of one seed and the vehicle in it; `sweep` measures it at one moment."""

    def __init__(self, seed: int, lidar: SpinningLidar, frames: int, settings: StreetSettings) -> None:
        self.lidar = lidar
        self._seed = seed
        self._reach_m = lidar.sensor.max_range_m
        duration_s = frames * lidar.sweep_s
        generator = np.random.default_rng([seed, 10])
        profile = SpeedProfile(generator, settings, duration_s)
        self.street = Street(seed, settings, -self._reach_m - 10.0, profile.end_m + self._reach_m + _STRETCH_M)
        self.ego = EgoMotion(generator, self.street.line, profile, self.street.sides[-1][0].lane_m)
        self.traffic: Traffic = draw_traffic(generator, self.street, self.ego, duration_s)
        self._gallery = Gallery([mover.model for mover in self.traffic.movers])
        self._base_from_world = np.linalg.inv(self.ego.world_from_base(np.zeros(1))[0])
        spread = lidar.sensor.intensity_ring_spread
        gains = np.exp(spread * np.random.default_rng([seed, 12]).standard_normal(len(lidar.elevations)))
        self._gains = np.tile(gains.astype(np.float32), lidar.sensor.columns)
        self._window: int | None = None
        self._scene: CastingScene
        self._standing: list[PlacedObject] = []

    def sweep(self, index: int) -> DriveFrame:
        """Measure sweep `index` of the drive."""
        start_s = index * self.lidar.sweep_s
        self._arrive(float(self.ego.profile.way_m(start_s)))
        targets, objects = self._targets(start_s)
        hits = self.lidar.cast(self._lidar_poses(start_s + self.lidar.times_s), self._scene, self._gallery, targets)
        generator = np.random.default_rng([self._seed, 11, index])
        beams = self.lidar.directions.reshape(-1, 3)
        kept, points = measure(generator, self.lidar.sensor, hits, beams, self._gains)
        column, ring = np.divmod(kept, len(self.lidar.elevations))
        cloud = PointCloud(points, self.lidar.times_s[column].astype(np.float32), ring.astype(np.uint16))
        instance_ids = hits.instance_ids[kept]
        boxes = boxes_of(objects, np.unique(instance_ids), self.lidar, lambda time: self._lidar_poses(start_s + time))
        stamp_ns = START_NS + round(start_s * 1e9)
        return DriveFrame(
            frame=Frame(cloud, stamp_ns, self.lidar.sensor.frame_id),
            base_from_lidar=self.lidar.base_from_lidar.copy(),
            class_ids=hits.class_ids[kept],
            instance_ids=instance_ids,
            objects=boxes,
            odom_from_base=self._base_from_world @ self.ego.world_from_base(np.array([start_s]))[0],
            twist=self._twist(start_s),
        )

    def _arrive(self, way_m: float) -> None:
        """Build the street ahead when the vehicle reaches a new part of it."""
        window = int(way_m // _STRETCH_M)
        if window == self._window:
            return
        self._window = window
        start = window * _STRETCH_M
        parts = self.street.between(start - self._reach_m, start + _STRETCH_M + self._reach_m)
        self._scene = CastingScene(merge([part.mesh for part in parts]))
        self._standing = [placed for part in parts for placed in part.objects]

    def _lidar_poses(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.ego.world_from_base(time_s) @ self.lidar.base_from_lidar

    def _targets(self, start_s: float) -> tuple[list[MovingTarget], Objects]:
        """The movers near the vehicle for the casting, and all objects for the boxes."""
        middle_s = start_s + 0.5 * self.lidar.sweep_s
        movers = self.traffic.near(middle_s, float(self.ego.profile.way_m(middle_s)), self._reach_m)
        poses, velocities = self.traffic.states(movers, middle_s)
        models = [self.traffic.movers[mover].model for mover in movers]
        targets = []
        for mover, model, pose, velocity in zip(movers, models, poses, velocities, strict=True):
            place = self._gallery.place(model, self.traffic.phase(int(mover), middle_s))
            low, high = model.center - 0.5 * model.size, model.center + 0.5 * model.size
            targets.append(MovingTarget(int(mover) + 1, place, pose, velocity, 0.5 * self.lidar.sweep_s, low, high))
        standing = self._standing
        ids = np.array([target.instance_id for target in targets] + [one.instance_id for one in standing], np.uint32)
        frames = np.concatenate([poses, np.array([one.world_from_object for one in standing]).reshape(-1, 4, 4)])
        speeds = np.concatenate([velocities, np.zeros((len(standing), 3))])
        return targets, Objects(ids, models + [one.model for one in standing], frames, speeds, 0.5 * self.lidar.sweep_s)

    def _twist(self, time_s: float) -> NDArray[np.float64]:
        """Linear and angular velocity in base_link, from poses 10 ms before and after."""
        before, here, after = self.ego.world_from_base(time_s + np.array([-0.01, 0.0, 0.01]))
        linear = here[:3, :3].T @ (after[:3, 3] - before[:3, 3]) / 0.02
        turn = before[:3, :3].T @ after[:3, :3] / 0.04
        angular = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
        return np.concatenate([linear, angular])
