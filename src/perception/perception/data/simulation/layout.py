"""The plan of a street: stretches on each side, and where road, parking, verge and sidewalk lie in each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from perception.data.simulation.settings import StreetSettings

#: How far the ground reaches to either side, metres.
FAR_M = 55.0


class Frontage(Enum):
    """What lies behind the sidewalk of a stretch."""

    BUILDINGS = 0
    GARDENS = 1
    OPEN_LAND = 2
    PARKING_LOT = 3
    SIDE_STREET = 4


@dataclass(frozen=True)
class Stretch:
    """One side of the street between two ways along it; edges are distances from the centre line in metres.

    Attributes:
        side: 1 for the left, -1 for the right side.
        number: counts the stretches of a side.
        start_m, end_m: ways along the street.
        road_edge_m: where the road ends; before it lies a strip for bicycles.
        lane_m: width of the lane next to the centre line.
        parking_edge_m: where the parking strip ends, road_edge_m where there is none.
        verge_edge_m: where the green verge ends, parking_edge_m where there is none.
        sidewalk_inner_m: where the part of the sidewalk begins that is the same along the whole side.
        sidewalk_edge_m: where the sidewalk ends.
        lot_edge_m: where a parking lot behind the sidewalk ends.
        kerb_m: height of the kerb.
    """

    side: int
    number: int
    start_m: float
    end_m: float
    frontage: Frontage
    lane_m: float
    road_edge_m: float
    parking_edge_m: float
    verge_edge_m: float
    sidewalk_inner_m: float
    sidewalk_edge_m: float
    lot_edge_m: float
    kerb_m: float

    @property
    def length_m(self) -> float:
        """Way from start to end."""
        return self.end_m - self.start_m

    def opening_m(self) -> tuple[float, float]:
        """Return the ways between which a side street's roadway lies."""
        return self.start_m + 2.5, self.end_m - 2.5

    def lift(self, along: NDArray[np.float64], distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the height of the surface over the bare ground at distances from the centre line."""
        lot = (self.frontage is Frontage.PARKING_LOT) & (distance > self.sidewalk_edge_m) & (distance < self.lot_edge_m)
        parking = (distance > self.road_edge_m) & (distance < self.parking_edge_m)
        raised = np.where(distance > self.parking_edge_m, self.kerb_m, np.where(parking, 0.025, 0.0))
        raised = np.where(lot, 0.06, raised)
        if self.frontage is Frontage.SIDE_STREET:
            low, high = self.opening_m()
            raised = np.where(
                (along > low) & (along < high), 0.0, np.where(distance > self.road_edge_m, self.kerb_m, 0.0)
            )
        return raised


@dataclass(frozen=True)
class _Section:
    """What all stretches of a side share: widths and edges in metres, and its character."""

    lane_m: float
    road_edge_m: float
    parking_m: float
    sidewalk_inner_m: float
    sidewalk_edge_m: float
    kerb_m: float
    parking_strip: float
    frontages: NDArray[np.float64]


def _draw_section(generator: np.random.Generator, settings: StreetSettings) -> _Section:
    lane = generator.uniform(2.9, 3.6)
    road_edge = lane * generator.choice([1, 2], p=[0.85, 0.15]) + generator.uniform(1.1, 1.7)
    has_parking = generator.random() < 0.75
    parking = generator.uniform(2.1, 2.5) if has_parking else 0.0
    verge = generator.choice([0.0, generator.uniform(0.9, 2.2), generator.uniform(2.5, 5.0)], p=[0.5, 0.35, 0.15])
    inner = road_edge + parking + verge
    weights = np.array([settings.buildings, settings.gardens, settings.open_land, settings.parking_lots])
    weights = weights * generator.uniform(0.15, 2.0, 4) + 1e-9  # streets differ in character
    return _Section(
        float(lane),
        float(road_edge),
        float(parking),
        float(inner),
        float(inner + generator.uniform(2.6, 4.4)),
        float(generator.uniform(0.08, 0.17)),
        settings.parking_strip if has_parking else 0.0,
        weights / weights.sum(),
    )


def plan_side(
    generator: np.random.Generator, settings: StreetSettings, side: int, start_m: float, end_m: float
) -> list[Stretch]:
    """Draw the stretches of one side from start to end; the sidewalk keeps its distance throughout."""
    section = _draw_section(generator, settings)
    stretches: list[Stretch] = []
    way = start_m
    while way < end_m:
        frontage = Frontage(int(generator.choice(4, p=section.frontages)))
        length = float(generator.integers(18, 40))
        after_side_street = bool(stretches) and stretches[-1].frontage is Frontage.SIDE_STREET
        if not after_side_street and generator.random() < settings.side_streets:
            frontage, length = Frontage.SIDE_STREET, float(generator.integers(11, 15))
        stretches.append(_draw_stretch(generator, section, side, len(stretches), way, length, frontage))
        way += length
    return stretches


def _draw_stretch(
    generator: np.random.Generator,
    section: _Section,
    side: int,
    number: int,
    start_m: float,
    length_m: float,
    frontage: Frontage,
) -> Stretch:
    parked = frontage is not Frontage.SIDE_STREET and generator.random() < section.parking_strip
    parking_edge = section.road_edge_m + (section.parking_m if parked else 0.0)
    # what is neither parking nor sidewalk is a green verge, or paved as the sidewalk is
    verge_edge = section.sidewalk_inner_m if parked or generator.random() < 0.6 else section.road_edge_m
    return Stretch(
        side,
        number,
        start_m,
        start_m + length_m,
        frontage,
        section.lane_m,
        section.road_edge_m,
        parking_edge,
        verge_edge if frontage is not Frontage.SIDE_STREET else section.road_edge_m,
        section.sidewalk_inner_m,
        section.sidewalk_edge_m,
        section.sidewalk_edge_m + generator.uniform(5.2, 11.0),
        section.kerb_m,
    )
