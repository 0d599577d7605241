"""Everything that moves: vehicles in their lanes, bicyclists, people who walk along and across the street."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perception.data.simulation.ego import EgoMotion
from perception.data.simulation.models import ObjectModel
from perception.data.simulation.street import Street


@dataclass(frozen=True)
class Mover:
    """One moving object in street coordinates.

    Attributes:
        start_m: way along the street at time 0.
        speed_mps: along the street, negative against its direction.
        follows_ego: whether it keeps its distance to the ego vehicle instead of driving at its own speed.
        left_m: distance to the left of the centre line, where a crossing begins.
        crosses_to_m: distance to the left where the crossing ends; equal to left_m for what does not cross.
        crosses_at_s: when the crossing begins.
        crossing_mps: speed of the crossing.
    """

    model: ObjectModel
    start_m: float
    speed_mps: float
    left_m: float
    follows_ego: bool = False
    crosses_to_m: float = 0.0
    crosses_at_s: float = np.inf
    crossing_mps: float = 1.0


class Traffic:
    """All movers of a drive; instance ids count from 1."""

    def __init__(self, street: Street, ego: EgoMotion, movers: list[Mover]) -> None:
        self._street = street
        self._ego = ego
        self.movers = movers
        self._start = np.array([mover.start_m for mover in movers])
        self._speed = np.array([mover.speed_mps for mover in movers])
        self._follows = np.array([mover.follows_ego for mover in movers], bool)
        self._left = np.array([mover.left_m for mover in movers])
        self._goal = np.array([mover.crosses_to_m for mover in movers])
        self._crosses_at = np.array([mover.crosses_at_s for mover in movers])
        self._crossing = np.array([mover.crossing_mps for mover in movers])

    def street_positions(self, time_s: float) -> NDArray[np.float64]:
        """Return the way along and the distance to the left of each mover, float64 [M, 2]."""
        along = self._start + np.where(self._follows, self._ego.profile.way_m(time_s), self._speed * time_s)
        waited = np.maximum(time_s - self._crosses_at, 0.0)
        share = np.clip(waited * self._crossing / np.maximum(np.abs(self._goal - self._left), 1e-6), 0.0, 1.0)
        return np.stack([along, self._left + share * np.where(share > 0, self._goal - self._left, 0.0)], axis=1)

    def near(self, time_s: float, along: float, reach_m: float) -> NDArray[np.int64]:
        """Return the indices of the movers within a reach along the street."""
        return np.flatnonzero(np.abs(self.street_positions(time_s)[:, 0] - along) < reach_m)

    def states(self, which: NDArray[np.int64], time_s: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return world_from_object [M, 4, 4] and world velocity [M, 3] of movers at a time."""
        here = self.street_positions(time_s)[which]
        soon = self.street_positions(time_s + 0.05)[which]
        line = self._street.line
        velocity = (line.world(soon[:, 0], soon[:, 1]) - line.world(here[:, 0], here[:, 1])) / 0.05
        yaw = np.where(self._speed[which] < 0, np.pi, 0.0)
        sideways = soon[:, 1] - here[:, 1]
        yaw = np.where(np.abs(sideways) > 1e-9, np.sign(sideways) * 0.5 * np.pi, yaw)
        lift = np.array([self._street.lift(along, left) for along, left in here])
        return line.frames(here[:, 0], here[:, 1], lift, yaw), velocity

    def phase(self, index: int, time_s: float) -> int:
        """Return which phase of its gait a mover is in."""
        mover = self.movers[index]
        crossing = time_s > mover.crosses_at_s
        return mover.model.phase_at((mover.crossing_mps if crossing else abs(mover.speed_mps)) * time_s + mover.start_m)


def draw_traffic(generator: np.random.Generator, street: Street, ego: EgoMotion, duration_s: float) -> Traffic:
    """Draw the movers of a drive so that every part of it meets some of each kind."""
    movers = _vehicles(generator, street, ego, duration_s)
    movers += _bicyclists(generator, street, ego, duration_s)
    movers += _walkers(generator, street, ego, duration_s)
    if street.settings.walkers_per_100_m > 0.0:
        movers += _crossing_people(generator, street, ego, duration_s, movers)
    return Traffic(street, ego, movers)


def _vehicle(generator: np.random.Generator, street: Street) -> ObjectModel:
    library, heavy = street.library, generator.random() < street.settings.heavy_vehicles
    models = (library.trucks if generator.random() < 0.6 else library.buses) if heavy else library.cars
    return models[int(generator.integers(len(models)))]


def _queue(
    generator: np.random.Generator, street: Street, start_m: float, end_m: float
) -> list[tuple[float, ObjectModel]]:
    """Vehicles one behind another between two ways, with gaps between bumpers of at least 6 m."""
    places = []
    way = start_m + generator.uniform(0.0, street.settings.vehicle_gap_m)
    while way < end_m:
        model = _vehicle(generator, street)
        places.append((float(way + 0.5 * model.size[0]), model))
        way += model.size[0] + 6.0 + generator.exponential(max(street.settings.vehicle_gap_m - 10.0, 1.0))
    return places


def _vehicles(generator: np.random.Generator, street: Street, ego: EgoMotion, duration_s: float) -> list[Mover]:
    lane = {side: street.sides[side][0].lane_m for side in (-1, 1)}
    edge = {side: street.sides[side][0].road_edge_m for side in (-1, 1)}
    ahead = _queue(generator, street, 17.0, 110.0)
    behind = [(-way, model) for way, model in _queue(generator, street, 10.0, 90.0)]
    movers = [Mover(model, gap, 0.0, -0.5 * lane[-1], follows_ego=True) for gap, model in ahead + behind]
    reach = ego.profile.end_m + 110.0
    speed = generator.uniform(6.0, 13.0)
    oncoming = _queue(generator, street, -110.0, reach + speed * duration_s)
    movers += [Mover(model, way, -speed, 0.5 * lane[1]) for way, model in oncoming]
    if edge[-1] > 1.9 * lane[-1]:
        speed = generator.uniform(5.0, 14.0)
        beside = _queue(generator, street, -110.0 - speed * duration_s, reach)
        movers += [Mover(model, way, speed, -1.5 * lane[-1]) for way, model in beside]
    return movers


def _spread(generator: np.random.Generator, start_m: float, end_m: float, per_100_m: float) -> NDArray[np.float64]:
    """Ways with at least 2.4 m between them."""
    places = np.sort(generator.uniform(start_m, end_m, int(generator.poisson(per_100_m * (end_m - start_m) / 100.0))))
    return places[np.diff(places, prepend=-np.inf) > 2.4]


def _bicyclists(generator: np.random.Generator, street: Street, ego: EgoMotion, duration_s: float) -> list[Mover]:
    movers = []
    for side in (-1, 1):
        speed = -side * generator.uniform(3.0, 6.5)
        start, end = -80.0 - max(speed * duration_s, 0.0), ego.profile.end_m + 80.0 - min(speed * duration_s, 0.0)
        left = side * (street.sides[side][0].road_edge_m - 0.55)
        for way in _spread(generator, start, end, street.settings.bicyclists_per_100_m):
            model = street.library.bicyclists[int(generator.integers(len(street.library.bicyclists)))]
            movers.append(Mover(model, float(way), speed, left + generator.normal(0.0, 0.08)))
    return movers


def _walkers(generator: np.random.Generator, street: Street, ego: EgoMotion, duration_s: float) -> list[Mover]:
    """People who walk in the lane of the sidewalk that nothing else stands in, in both directions."""
    movers = []
    for side in (-1, 1):
        stretch = street.sides[side][0]
        middle = 0.5 * (stretch.sidewalk_inner_m + stretch.sidewalk_edge_m)
        for direction in (-1.0, 1.0):
            speed = direction * generator.uniform(0.9, 1.7)
            start, end = -70.0 - max(speed * duration_s, 0.0), ego.profile.end_m + 70.0 - min(speed * duration_s, 0.0)
            left = side * (middle + 0.4 * direction)
            for way in _spread(generator, start, end, 0.5 * street.settings.walkers_per_100_m):
                model = street.library.walkers[int(generator.integers(len(street.library.walkers)))]
                movers.append(Mover(model, float(way), speed, left))
                if generator.random() < 0.3:
                    friend = street.library.walkers[int(generator.integers(len(street.library.walkers)))]
                    movers.append(Mover(friend, float(way) + 1.15, speed, left + generator.normal(0.0, 0.05)))
    return movers


def _crossing_people(
    generator: np.random.Generator, street: Street, ego: EgoMotion, duration_s: float, movers: list[Mover]
) -> list[Mover]:
    """People who cross where no vehicle comes; again and again some look for a gap ahead of the ego vehicle."""
    vehicles = Traffic(street, ego, [mover for mover in movers if mover.model.box_class != "pedestrian"])
    crossing: list[Mover] = []
    for time_s in np.repeat(np.arange(0.0, duration_s, 2.5), 4):
        along = float(ego.profile.way_m(time_s)) + generator.uniform(9.0, 45.0)
        side = int(generator.choice([-1, 1]))
        stretches = [street.stretch_at(one, along) for one in (side, -side)]
        model = street.library.walkers[int(generator.integers(len(street.library.walkers)))]
        speed = generator.uniform(1.2, 2.2)
        start, goal = (stretch.sidewalk_inner_m + 0.35 for stretch in stretches)
        candidate = Mover(model, along, 0.0, side * start, False, -side * goal, float(time_s), speed)
        has_parking = any(stretch.parking_edge_m > stretch.road_edge_m for stretch in stretches)
        if not has_parking and _is_free(vehicles, ego, candidate):
            crossing.append(candidate)
    return crossing


def _is_free(vehicles: Traffic, ego: EgoMotion, walker: Mover) -> bool:
    """Whether nothing comes nearer than 4 m ahead or behind, and 1.8 m beside, during the crossing."""
    lengths = np.array([0.5 * mover.model.size[0] for mover in vehicles.movers] + [3.5])
    duration_s = abs(walker.crosses_to_m - walker.left_m) / walker.crossing_mps
    for elapsed in np.arange(0.0, duration_s, 0.25):
        time_s = walker.crosses_at_s + elapsed
        left = walker.left_m + np.sign(walker.crosses_to_m - walker.left_m) * walker.crossing_mps * elapsed
        way = ego.profile.way_m(time_s)
        others = np.vstack([vehicles.street_positions(time_s), [way + 1.3, ego.left_m(way)]])
        close = np.abs(others[:, 0] - walker.start_m) < lengths + 1.5
        if np.any(close & (np.abs(others[:, 1] - left) < 1.8)):
            return False
    return True
