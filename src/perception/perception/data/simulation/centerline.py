"""The course of a street: street coordinates (way along it, distance to its left) and how they lie in the world."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perception.data.simulation.settings import StreetSettings

_STEP_M = 0.25


class Centerline:
    """A smooth curve with slopes and banks at its sides.

    Its heading and height are sums of three sine waves over the way, so both have derivatives everywhere.
    The ground beside the street rises or falls from `flat_m` on, with bumps.
    """

    def __init__(self, generator: np.random.Generator, settings: StreetSettings, start_m: float, end_m: float) -> None:
        wavelengths = generator.uniform((60.0, 120.0, 250.0), (120.0, 250.0, 600.0))
        self._turn_frequency = 2 * np.pi / wavelengths
        self._turn_phase = generator.uniform(0, 2 * np.pi, 3)
        share = generator.dirichlet(np.ones(3)) * generator.random() * settings.max_curvature_per_m
        self._turn = share / self._turn_frequency
        self._hill_frequency = 2 * np.pi / generator.uniform((50.0, 100.0, 250.0), (100.0, 250.0, 500.0))
        self._hill_phase = generator.uniform(0, 2 * np.pi, 3)
        slope = generator.dirichlet(np.ones(3)) * generator.random() * settings.max_slope
        self._hill = slope / self._hill_frequency
        self._crown = generator.uniform(0.005, 0.025)
        self.flat_m = 9.0
        self._bank = generator.uniform(-0.10, 0.18, 2)
        self._bump_m = generator.uniform(0.02, 0.10)
        self._bump = generator.uniform(-1.4, 1.4, (4, 3))
        self._way = np.arange(start_m - 5.0, end_m + 5.0, _STEP_M)
        heading = self.heading(self._way + 0.5 * _STEP_M)
        self._x = np.concatenate([[0.0], np.cumsum(np.cos(heading) * _STEP_M)[:-1]])
        self._y = np.concatenate([[0.0], np.cumsum(np.sin(heading) * _STEP_M)[:-1]])

    def heading(self, along: ArrayLike) -> NDArray[np.float64]:
        """Return the direction of the street, radians."""
        way = np.asarray(along, np.float64)[..., None]
        return (self._turn * np.sin(self._turn_frequency * way + self._turn_phase)).sum(axis=-1)

    def slope(self, along: ArrayLike) -> NDArray[np.float64]:
        """Return how much the street rises for each metre."""
        way = np.asarray(along, np.float64)[..., None]
        return (self._hill * self._hill_frequency * np.cos(self._hill_frequency * way + self._hill_phase)).sum(axis=-1)

    def height(self, along: ArrayLike, left: ArrayLike) -> NDArray[np.float64]:
        """Return the height of the ground without kerbs: the road's, its crown, and banks with bumps beside it."""
        along, left = np.broadcast_arrays(np.asarray(along, np.float64), np.asarray(left, np.float64))
        way = along[..., None]
        road = (self._hill * np.sin(self._hill_frequency * way + self._hill_phase)).sum(axis=-1)
        beside = np.maximum(np.abs(left) - self.flat_m, 0.0)
        bank = np.where(left > 0, self._bank[0], self._bank[1]) * 14.0 * np.tanh(beside / 14.0)
        waves = np.sin(self._bump[:, 0] * way + self._bump[:, 1] * left[..., None] + 9.0 * self._bump[:, 2]).sum(
            axis=-1
        )
        crown = -self._crown * np.minimum(np.abs(left), 5.0)
        return road + crown + bank + self._bump_m * np.minimum(beside, 1.0) * waves

    def world(self, along: ArrayLike, left: ArrayLike, above: ArrayLike = 0.0) -> NDArray[np.float64]:
        """Return world coordinates [..., 3] of points in street coordinates, `above` metres over the ground."""
        along, left, above = np.broadcast_arrays(
            np.asarray(along, np.float64), np.asarray(left, np.float64), np.asarray(above, np.float64)
        )
        heading = self.heading(along)
        x = np.interp(along, self._way, self._x) - np.sin(heading) * left
        y = np.interp(along, self._way, self._y) + np.cos(heading) * left
        return np.stack([x, y, self.height(along, left) + above], axis=-1)

    def frames(self, along: ArrayLike, left: ArrayLike, above: ArrayLike, yaw: ArrayLike) -> NDArray[np.float64]:
        """Return world_from_object [..., 4, 4] of what stands on the street: tilted as the road, turned by `yaw`."""
        position = self.world(along, left, above)
        heading, slope = (np.broadcast_to(angle(along), position.shape[:-1]) for angle in (self.heading, self.slope))
        cosine, sine = np.cos(heading), np.sin(heading)
        length = np.sqrt(1.0 + slope**2)
        forward = np.stack([cosine, sine, slope], axis=-1) / length[..., None]
        leftward = np.stack([-sine, cosine, np.zeros_like(sine)], axis=-1)
        turn_cosine, turn_sine = (np.broadcast_to(f(yaw), heading.shape)[..., None] for f in (np.cos, np.sin))
        frames = np.zeros((*heading.shape, 4, 4))
        frames[..., :3, 0] = turn_cosine * forward + turn_sine * leftward
        frames[..., :3, 1] = turn_cosine * leftward - turn_sine * forward
        frames[..., :3, 2] = np.cross(forward, leftward)
        frames[..., :3, 3] = position
        frames[..., 3, 3] = 1.0
        return frames
