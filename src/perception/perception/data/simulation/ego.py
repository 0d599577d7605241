"""How the vehicle with the sensor drives: along its lane at varying speed, stopping now and then."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perception.data.simulation.centerline import Centerline
from perception.data.simulation.settings import StreetSettings

_STEP_S = 0.02


class SpeedProfile:
    """The way along the street over time: wanted speeds drawn every few seconds, reached with bounded acceleration."""

    def __init__(self, generator: np.random.Generator, settings: StreetSettings, duration_s: float) -> None:
        self._time_s = np.arange(-1.0, duration_s + 2.0, _STEP_S)
        wanted = self._wanted_speeds(generator, settings.top_speed_mps)
        speed = np.empty_like(wanted)
        speed[0] = wanted[0]
        limit = 1.8 * _STEP_S
        for index in range(1, len(wanted)):
            speed[index] = speed[index - 1] + np.clip(wanted[index] - speed[index - 1], -limit, limit)
        smooth = np.ones(25) / 25.0
        speed = np.convolve(np.pad(speed, 12, mode="edge"), smooth, mode="valid")
        self._way_m = np.concatenate([[0.0], np.cumsum(0.5 * (speed[1:] + speed[:-1]) * _STEP_S)])
        self._way_m -= np.interp(0.0, self._time_s, self._way_m)

    def _wanted_speeds(self, generator: np.random.Generator, top_speed_mps: float) -> NDArray[np.float64]:
        wanted = np.empty_like(self._time_s)
        index = 0
        while index < len(wanted):
            count = int(generator.uniform(3.0, 9.0) / _STEP_S)
            stops = generator.random() < 0.15 and index > 0
            wanted[index : index + count] = 0.0 if stops else generator.uniform(0.25, 1.0) * top_speed_mps
            index += count
        return wanted

    def way_m(self, time_s: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Return the way driven since time 0, metres."""
        return np.interp(time_s, self._time_s, self._way_m)

    @property
    def end_m(self) -> float:
        """The way at the end of the drive."""
        return float(self._way_m[-1])


class EgoMotion:
    """Poses of the vehicle (base_link: on the ground under the rear axle) while it follows a profile of speed."""

    def __init__(self, generator: np.random.Generator, line: Centerline, profile: SpeedProfile, lane_m: float) -> None:
        self._line = line
        self.profile = profile
        self._left = -0.5 * lane_m
        self._sway_m = generator.uniform(0.0, 0.25)
        self._sway_frequency = 2 * np.pi / generator.uniform(25.0, 70.0)
        self._sway_phase = generator.uniform(0, 2 * np.pi)
        self._shake_rad = generator.uniform(0.0005, 0.003, 2)
        self._shake_frequency = 2 * np.pi * generator.uniform(0.9, 1.9, 2)

    def left_m(self, way: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the distance to the left of the centre line at ways along the street."""
        return self._left + self._sway_m * np.sin(self._sway_frequency * way + self._sway_phase)

    def world_from_base(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return poses float64 [T, 4, 4] at times [T] since the start of the drive."""
        way = self.profile.way_m(time_s)
        left = self.left_m(way)
        sway = self._sway_m * self._sway_frequency * np.cos(self._sway_frequency * way + self._sway_phase)
        yaw = self._line.heading(way) + np.arctan(sway)
        moving = np.minimum((self.profile.way_m(time_s + 0.1) - way) / 0.3, 1.0)
        shake = moving[:, None] * self._shake_rad * np.sin(time_s[:, None] * self._shake_frequency)
        pitch = -np.arctan(self._line.slope(way)) + shake[:, 0]
        roll = np.arcsin((self._line.height(way, left + 0.7) - self._line.height(way, left - 0.7)) / 1.4) + shake[:, 1]
        return _poses(self._line.world(way, left), yaw, pitch, roll)


def _poses(
    position: NDArray[np.float64], yaw: NDArray[np.float64], pitch: NDArray[np.float64], roll: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Transforms [T, 4, 4] from positions [T, 3] and intrinsic z-y-x angles [T]."""
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    poses = np.zeros((len(yaw), 4, 4))
    poses[:, 0, :3] = np.stack([cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr], axis=1)
    poses[:, 1, :3] = np.stack([sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr], axis=1)
    poses[:, 2, :3] = np.stack([-sp, cp * sr, cp * cr], axis=1)
    poses[:, :3, 3] = position
    poses[:, 3, 3] = 1.0
    return poses
