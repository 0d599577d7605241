"""A small cloud with the labels that a bundle must give it, so that a robot can try a bundle before it trusts it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from perception.bundle.format import BundleDescription
from perception.export.comparison import Recorded, torch_labeller
from perception.runtime import StageTimer


def made_up_street() -> NDArray[np.float32]:
    """About 2,000 points around a sensor 1.7 m above a road between two walls, with cars, poles and people.

    Returns:
        float32 [N, 4], x, y, z in metres and intensity; the same at every call.
    """
    rng = np.random.default_rng(5)
    distance, angle = 3 + 37 * rng.random(900) ** 2, rng.uniform(-np.pi, np.pi, 900)
    ground = _column(distance * np.cos(angle), distance * np.sin(angle), np.full(900, -1.7), 0.25)
    ground = ground[np.abs(ground[:, 1]) < 9]
    along = rng.uniform(-35, 35, 600)
    walls = _column(along, np.where(rng.random(600) < 0.5, 9.0, -9.0), rng.uniform(-1.7, 4, 600), 0.4)
    parts = [ground, walls]
    for x, y in ((8, 3.5), (-12, -3.5), (18, -3.5)):
        parts.append(_box(rng, (x, y, -0.95), (4.4, 1.8, 1.5), 140, 0.6))
    for x, y in ((5, -7), (-7, 7), (14, 7), (25, -7)):
        parts.append(_box(rng, (x, y, 0.3), (0.2, 0.2, 4.0), 40, 0.5))
    for x, y in ((6, 6.5), (-4, -6.5)):
        parts.append(_box(rng, (x, y, -0.85), (0.5, 0.5, 1.7), 40, 0.3))
    points = np.concatenate(parts)
    points[:, :3] += rng.normal(0, 0.01, (len(points), 3))
    points[:, 3] = np.clip(points[:, 3] + rng.normal(0, 0.05, len(points)), 0, 1)
    return points.astype(np.float32)


def self_check(traced: Recorded, description: BundleDescription) -> bytes:
    """Make the file: tensors points float32 [N, 4], class_ids uint8 [N] and probabilities float32 [N], by PyTorch."""
    points = made_up_street()
    class_ids, probabilities = torch_labeller(traced, description).label(points, StageTimer())
    return bytes(save({"points": points, "class_ids": class_ids, "probabilities": probabilities}))


def _box(
    rng: np.random.Generator, center: tuple[float, ...], size: tuple[float, ...], count: int, intensity: float
) -> NDArray[np.float64]:
    """Points on the sides of an upright box."""
    offsets = rng.uniform(-0.5, 0.5, (count, 3))
    axis = rng.integers(0, 2, count)
    offsets[np.arange(count), axis] = np.where(rng.random(count) < 0.5, 0.5, -0.5)
    x, y, z = (np.array(center) + offsets * np.array(size)).T
    return _column(x, y, z, intensity)


def _column(
    x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64], intensity: float
) -> NDArray[np.float64]:
    return np.column_stack([x, y, z, np.full(len(x), intensity)])
