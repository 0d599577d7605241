"""Settings of the simulator: a sensor's file under config/sensors, and the kind of street."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from perception.configuration import ConfigurationError, Settings, load_settings
from perception.paths import share_folder


class BeamBlock(Settings):
    """Beams at equal steps of elevation, both ends included."""

    count: int = Field(ge=1)
    from_deg: float = Field(ge=-90.0, le=90.0)
    to_deg: float = Field(ge=-90.0, le=90.0)


class Mount(Settings):
    """Where the sensor sits on the vehicle: metres and degrees from base_link (ground under the rear axle)."""

    x_m: float
    y_m: float = 0.0
    z_m: float = Field(gt=0.0)
    yaw_deg: float = 0.0


class DropOut(Settings):
    """Probabilities with which a return is lost."""

    always: float = Field(ge=0.0, le=1.0)
    at_max_range: float = Field(ge=0.0, le=1.0)
    at_grazing_incidence: float = Field(ge=0.0, le=1.0)


class SensorSettings(Settings):
    """A spinning LiDAR; every key is explained in the sensor's file."""

    model: str
    frame_id: str
    rate_hz: float = Field(gt=0.0)
    columns: int = Field(ge=8)
    start_azimuth_deg: float
    clockwise: bool
    beams: tuple[BeamBlock, ...] = Field(min_length=1)
    min_range_m: float = Field(ge=0.0)
    max_range_m: float = Field(gt=0.0)
    range_noise_m: float = Field(ge=0.0)
    angle_noise_deg: float = Field(ge=0.0)
    intensity_gain: float = Field(gt=0.0)
    intensity_noise: float = Field(ge=0.0)
    intensity_ring_spread: float = Field(ge=0.0)
    drop_out: DropOut
    mount: Mount

    @field_validator("beams")
    @classmethod
    def _every_beam_once(cls, blocks: tuple[BeamBlock, ...]) -> tuple[BeamBlock, ...]:
        if len(set(_elevations_deg(blocks).tolist())) < sum(block.count for block in blocks):
            raise ValueError("two beams have the same elevation")
        return blocks

    def elevations_rad(self) -> NDArray[np.float64]:
        """Return the elevation of each ring, lowest first, float64 [R]."""
        return np.radians(_elevations_deg(self.beams))


def _elevations_deg(blocks: tuple[BeamBlock, ...]) -> NDArray[np.float64]:
    return np.sort(np.concatenate([np.linspace(block.from_deg, block.to_deg, block.count) for block in blocks]))


def load_sensor(name_or_path: str | Path) -> SensorSettings:
    """Load a sensor by its name in config/sensors or by the path of its file.

    Raises:
        ConfigurationError: there is none, with the names that exist, or its file is wrong.
    """
    folder = share_folder() / "config" / "sensors"
    for candidate in (folder / f"{name_or_path}.yaml", Path(name_or_path).expanduser()):
        if candidate.is_file():
            return load_settings(SensorSettings, candidate)
    names = ", ".join(sorted(file.stem for file in folder.glob("*.yaml"))) or "none"
    raise ConfigurationError(f"no sensor '{name_or_path}': give a YAML file, or one of: {names}")


class StreetSettings(Settings):
    """How full and how varied a street is; what has a range is drawn anew for each seed or each stretch.

    Attributes:
        buildings, gardens, open_land, parking_lots: weights of what lies behind the sidewalk of a stretch.
        side_streets: share of stretches that are a side street.
        parking_strip: share of stretches with a parking strip, on streets that have any.
        parked: share of parking places that are taken.
        furniture_gap_m: mean way between poles, signs and trees along a kerb.
        parked_bicycles: chance of a rack of bicycles or motorcycles per 10 m of sidewalk.
        walkers_per_100_m, standing_per_100_m: people on each sidewalk.
        bicyclists_per_100_m: riders on each side of the road.
        vehicle_gap_m: mean way between moving vehicles in a lane.
        heavy_vehicles: share of trucks and buses among moving vehicles.
        max_curvature_per_m: bound of the road's curvature, at most 0.012.
        max_slope: bound of the road's slope.
        top_speed_mps: the fastest that the ego vehicle drives.
    """

    buildings: float = Field(default=0.34, ge=0.0)
    gardens: float = Field(default=0.28, ge=0.0)
    open_land: float = Field(default=0.34, ge=0.0)
    parking_lots: float = Field(default=0.10, ge=0.0)
    side_streets: float = Field(default=0.12, ge=0.0, le=1.0)
    parking_strip: float = Field(default=0.7, ge=0.0, le=1.0)
    parked: float = Field(default=0.62, ge=0.0, le=1.0)
    furniture_gap_m: float = Field(default=7.0, gt=1.0)
    parked_bicycles: float = Field(default=0.55, ge=0.0, le=1.0)
    walkers_per_100_m: float = Field(default=5.0, ge=0.0, le=30.0)
    standing_per_100_m: float = Field(default=2.5, ge=0.0, le=30.0)
    bicyclists_per_100_m: float = Field(default=3.0, ge=0.0, le=10.0)
    vehicle_gap_m: float = Field(default=34.0, ge=15.0)
    heavy_vehicles: float = Field(default=0.30, ge=0.0, le=1.0)
    max_curvature_per_m: float = Field(default=0.010, ge=0.0, le=0.012)
    max_slope: float = Field(default=0.04, ge=0.0, le=0.2)
    top_speed_mps: float = Field(default=12.0, gt=0.0, le=40.0)
