"""What a sensor makes of a hit: range noise, intensity, and returns that are lost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perception.data.simulation.casting import Hits
from perception.data.simulation.materials import DIFFUSE, LOSS, MATERIALS, REFLECTIVITY, ROUGHNESS_M, SPREAD
from perception.data.simulation.settings import SensorSettings


def measure(
    generator: np.random.Generator,
    sensor: SensorSettings,
    hits: Hits,
    directions: NDArray[np.float32],
    gains: NDArray[np.float32],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Turn hits into returns.

    Args:
        generator: source of the noise.
        sensor: its noise, drop-outs and range.
        hits: N hits, one a beam.
        directions: float32 [N, 3], unit vectors of the beams in the sensor's frame.
        gains: float32 [N], how strongly each beam's receiver answers.

    Returns:
        Indices int64 [P] of the beams that give a return, in order, and float32 [P, 4]: x, y, z in the sensor's frame
        at the beam's own time, and intensity 0..1.
    """
    kept = np.flatnonzero((hits.range_m > sensor.min_range_m) & (hits.range_m < sensor.max_range_m))
    surface = MATERIALS[hits.materials[kept]]
    range_m = hits.range_m[kept]
    strength = surface[:, REFLECTIVITY] * hits.tints[kept] * gains[kept]
    intensity = _intensity(generator, sensor, surface, strength, hits.incidence[kept], range_m)
    lost = generator.random(len(kept), np.float32) < _loss(sensor, surface, intensity, hits.incidence[kept], range_m)
    kept, range_m, surface, intensity = kept[~lost], range_m[~lost], surface[~lost], intensity[~lost]
    noise = generator.standard_normal((len(kept), 4), np.float32)
    range_noise_m = np.hypot(np.float32(sensor.range_noise_m), surface[:, ROUGHNESS_M])
    points = np.empty((len(kept), 4), np.float32)
    aim = directions[kept] + noise[:, 1:] * np.float32(np.radians(sensor.angle_noise_deg))
    points[:, :3] = aim * (range_m + noise[:, 0] * range_noise_m)[:, None]
    points[:, 3] = intensity
    return kept, points


def _intensity(
    generator: np.random.Generator,
    sensor: SensorSettings,
    surface: NDArray[np.float32],
    strength: NDArray[np.float32],
    incidence: NDArray[np.float32],
    range_m: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Strength x angle of incidence x distance, with noise in proportion and a floor of noise."""
    diffuse = surface[:, DIFFUSE]
    fading = np.float32(sensor.intensity_gain) * np.exp(-range_m / np.float32(140.0))
    strength = strength * (diffuse + (1.0 - diffuse) * incidence) * fading
    noise = generator.standard_normal((len(range_m), 2), np.float32)
    strength *= 1.0 + surface[:, SPREAD] * noise[:, 0]
    strength += np.float32(sensor.intensity_noise) * noise[:, 1]
    return np.clip(np.round(strength * 100.0) / 100.0, 0.0, 0.99)  # as coarse as the sensors' own byte


def _loss(
    sensor: SensorSettings,
    surface: NDArray[np.float32],
    intensity: NDArray[np.float32],
    incidence: NDArray[np.float32],
    range_m: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Probability of losing each return: far, dark and grazing hits, and what glass and lacquer send elsewhere."""
    far = (range_m / np.float32(sensor.max_range_m)) ** 2 * (1.0 - intensity)
    grazing = (1.0 - np.minimum(incidence * 6.0, 1.0)) * np.minimum(range_m / 40.0, 1.0)
    mirror = surface[:, LOSS] * (1.3 - incidence)
    drop = sensor.drop_out
    return drop.always + drop.at_max_range * far + drop.at_grazing_incidence * grazing + mirror
