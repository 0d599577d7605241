"""A small cloud with the results that a bundle must give, so that a robot can try a bundle before it trusts it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from perception.bundle.format import CommonDescription, DetectionDescription
from perception.export.comparison import Recorded, torch_use
from perception.runtime import StageTimer
from perception.runtime.detection_check import detection_check

#: Of a self-check that is a part of a real or simulated cloud: 0.5 MB.
MOST_POINTS = 32_768


def made_up_street(columns: int = 4) -> NDArray[np.float32]:
    """About 2,000 points around a sensor 1.7 m above a road between two walls, with cars, poles and people.

    Args:
        columns: how many features points have.

    Returns:
        float32 [N, columns], x, y, z in metres, intensity, and 0, 0.1 or 0.2 in further columns, as if the points were
        of three sweeps; the same at every call.
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
    more = 0.1 * rng.integers(0, 3, (len(points), columns - points.shape[1]))
    return np.column_stack([points, more]).astype(np.float32)


def self_check(
    recorded: Recorded, description: CommonDescription, clouds: Sequence[NDArray[np.float32]] = ()
) -> bytes | None:
    """Make the file by PyTorch: a cloud and what `perception.runtime.self_check` compares with.

    Args:
        recorded: the network.
        description: of its bundle.
        clouds: float32 [N, C], of which a part is taken where a detector finds nothing in the made-up street.

    Returns:
        Its bytes; None of a detector that finds nothing anywhere, so that there is nothing to compare with.
    """
    compute = torch_use(recorded, description)
    for points in chain([made_up_street(description.point_columns)], *map(_wedges, clouds)):
        if tensors := _tensors(points, compute(points, StageTimer()), description):
            return bytes(save(tensors))
    return None


def _tensors(
    points: NDArray[np.float32], result: Any, description: CommonDescription
) -> dict[str, NDArray[Any]] | None:
    if isinstance(description, DetectionDescription):
        return detection_check(points, result, description)
    class_ids, probabilities = result
    return {"points": points, "class_ids": class_ids, "probabilities": probabilities}


def _wedges(points: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Parts of a cloud that a bundle can carry, each with all points between two directions: objects stay whole."""
    by_direction = np.argsort(np.arctan2(points[:, 1], points[:, 0]), kind="stable")
    for rows in np.array_split(by_direction, len(points) // (MOST_POINTS + 1) + 1):
        yield points[np.sort(rows)]


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
