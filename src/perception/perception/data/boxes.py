"""Boxes of objects that move with the points around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.types import Boxes3D

#: How far outside of its box a point may lie and still count as the object's.
MARGIN_M = 0.05


def moved(boxes: Boxes3D, matrix: NDArray[np.floating[Any]], shift_m: NDArray[np.floating[Any]]) -> Boxes3D:
    """Apply a turn about z, a mirroring and a scale, float [3, 3], and then a shift, float [3], to boxes."""
    scale = abs(np.linalg.det(matrix)) ** (1 / 3)
    heading = np.stack([np.cos(boxes.yaws), np.sin(boxes.yaws)], axis=1) @ matrix[:2, :2].T
    return replace(
        boxes,
        centers=(boxes.centers @ matrix.T + shift_m).astype(np.float32),
        sizes=(boxes.sizes * scale).astype(np.float32),
        yaws=np.arctan2(heading[:, 1], heading[:, 0]).astype(np.float32),
        velocities=(boxes.velocities @ matrix[:2, :2].T).astype(np.float32),
    )


def turn(angle_rad: float) -> NDArray[np.float64]:
    """Give the turn about z by an angle, float64 [3, 3]."""
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def chosen(boxes: Boxes3D, rows: NDArray[Any]) -> Boxes3D:
    """Take some of the boxes: rows [K] of them, or bool [M]."""
    numbers = np.arange(len(boxes))[rows].tolist()
    values: dict[str, Any] = {}
    for field in fields(boxes):
        column = getattr(boxes, field.name)
        values[field.name] = tuple(column[row] for row in numbers if column) if _is_names(column) else column[rows]
    return Boxes3D(**values)


def joined(parts: Sequence[Boxes3D]) -> Boxes3D:
    """Put boxes, at least one part, one after the other; identifiers are lost."""
    values: dict[str, Any] = {}
    for field in fields(parts[0]):
        columns = [getattr(part, field.name) for part in parts]
        names = _is_names(columns[0])
        values[field.name] = tuple(name for column in columns for name in column) if names else np.concatenate(columns)
    return Boxes3D(**{**values, "ids": ()})


def points_inside(points: NDArray[np.float32], boxes: Boxes3D) -> NDArray[np.int64]:
    """Count the points, float32 [N, 3+], in every box: int64 [M]."""
    xyz = points[np.argsort(points[:, 0]), :3]
    x, y = np.ascontiguousarray(xyz[:, :2].T)
    reach = np.hypot(boxes.sizes[:, 0], boxes.sizes[:, 1]) / 2 + MARGIN_M
    begins, ends = (np.searchsorted(x, boxes.centers[:, 0] + side * reach).tolist() for side in (-1, 1))
    counts = np.zeros(len(boxes), np.int64)
    for row, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        beside = np.abs(y[begin:end] - boxes.centers[row, 1]) <= reach[row]
        local = (xyz[begin:end][beside] - boxes.centers[row]) @ turn(float(boxes.yaws[row]))
        counts[row] = (np.abs(local) <= boxes.sizes[row] / 2 + MARGIN_M).all(axis=1).sum()
    return counts


def sound(boxes: Boxes3D) -> NDArray[np.bool_]:
    """Which boxes could be real, bool [M]: finite, of positive size, with a score from 0 to 1."""
    places = np.column_stack([boxes.centers, boxes.sizes, boxes.yaws, boxes.scores])
    in_range = (boxes.scores >= 0) & (boxes.scores <= 1)
    result: NDArray[np.bool_] = np.isfinite(places).all(axis=1) & (boxes.sizes > 0).all(axis=1) & in_range
    return result


def _is_names(column: object) -> bool:
    return isinstance(column, tuple)
