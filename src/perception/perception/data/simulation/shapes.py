"""Mesh primitives in their own coordinates: x forward, y left, z up, metres."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perception.data.simulation.mesh import Mesh, Paint, painted

_BOX_CORNERS = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
_BOX_QUADS = np.array([(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])


def triangles_of_quads(quads: ArrayLike) -> NDArray[np.uint32]:
    """Split quads [Q, 4] into triangles, uint32 [2 Q, 3]."""
    corners = np.asarray(quads, np.uint32).reshape(-1, 4)
    return np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])


def box(size: ArrayLike, center: ArrayLike, paint: Paint) -> Mesh:
    """A box with edges along the axes."""
    return painted(_BOX_CORNERS * np.asarray(size) + np.asarray(center), triangles_of_quads(_BOX_QUADS), paint)


def panel(corners: ArrayLike, paint: Paint) -> Mesh:
    """Flat quads, corners [Q, 4, 3] in order around each."""
    vertices = np.asarray(corners, np.float64).reshape(-1, 3)
    return painted(vertices, triangles_of_quads(np.arange(len(vertices)).reshape(-1, 4)), paint)


def _ring_angles(sides: int) -> NDArray[np.float64]:
    return np.linspace(0.0, 2.0 * np.pi, sides, endpoint=False)


def _strip(lower: NDArray[np.int64], upper: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Triangles between two closed rings of vertex indices of the same length."""
    return triangles_of_quads(np.stack([lower, np.roll(lower, -1), np.roll(upper, -1), upper], axis=1))


def tube(
    start: ArrayLike, end: ArrayLike, radius: float, paint: Paint, sides: int = 7, end_radius: float | None = None
) -> Mesh:
    """A closed cylinder, or a cone where `end_radius` differs, from `start` to `end`."""
    first, last = np.asarray(start, np.float64), np.asarray(end, np.float64)
    axis = (last - first) / np.linalg.norm(last - first)
    helper = np.eye(3)[np.argmin(np.abs(axis))]
    across = np.cross(axis, helper) / np.linalg.norm(np.cross(axis, helper))
    angles = _ring_angles(sides)
    circle = np.outer(np.cos(angles), across) + np.outer(np.sin(angles), np.cross(axis, across))
    vertices = np.concatenate([first + radius * circle, last + (radius if end_radius is None else end_radius) * circle])
    lower, upper = np.arange(sides), np.arange(sides) + sides
    fan = np.stack([np.zeros(sides - 2, int), np.arange(1, sides - 1), np.arange(2, sides)], axis=1)
    return painted(vertices, np.concatenate([_strip(lower, upper), fan, fan + sides]), paint)


def ellipsoid(center: ArrayLike, radii: ArrayLike, paint: Paint, rings: int = 5, sides: int = 8) -> Mesh:
    """An ellipsoid of `rings` bands."""
    polar = np.linspace(0.0, np.pi, rings + 1)[:, None]
    angles = _ring_angles(sides)[None, :]
    unit = np.stack(
        [np.sin(polar) * np.cos(angles), np.sin(polar) * np.sin(angles), np.cos(polar) * np.ones_like(angles)], axis=-1
    )
    indices = np.arange((rings + 1) * sides).reshape(rings + 1, sides)
    bands = [_strip(indices[ring], indices[ring + 1]) for ring in range(rings)]
    return painted(unit.reshape(-1, 3) * np.asarray(radii) + np.asarray(center), np.concatenate(bands), paint)


def wheel_ring(center: ArrayLike, radius: float, paint: Paint, width: float = 0.045, sides: int = 14) -> Mesh:
    """A bicycle's wheel in the xz plane: tyre and rim as a flat ring, and a tread that faces outwards."""
    angles = _ring_angles(sides)
    circle = np.stack([np.cos(angles), np.zeros(sides), np.sin(angles)], axis=1)
    side = np.array([0.0, 0.5 * width, 0.0])
    inner_radius = max(radius - 0.06, 0.5 * radius)
    vertices = np.concatenate([circle * radius - side, circle * radius + side, circle * inner_radius])
    left, right, inner = np.arange(sides), np.arange(sides) + sides, np.arange(sides) + 2 * sides
    triangles = np.concatenate([_strip(left, right), _strip(inner, left), _strip(inner, right)])
    return painted(vertices + np.asarray(center), triangles, paint)


def profile_body(profile: ArrayLike, half_widths: ArrayLike, paint: Paint) -> Mesh:
    """A body from its side view: a star-shaped outline [K, 2] in x and z, with half its width at each corner [K]."""
    outline = np.asarray(profile, np.float64)
    widths = np.broadcast_to(np.asarray(half_widths, np.float64), len(outline))
    count = len(outline)
    left = np.stack([outline[:, 0], widths, outline[:, 1]], axis=1)
    right = left * np.array([1.0, -1.0, 1.0])
    middle = np.stack([left.mean(axis=0), right.mean(axis=0)])
    around, following = np.arange(count), np.roll(np.arange(count), -1)
    triangles = np.concatenate(
        [
            _strip(around, around + count),
            np.stack([around, following, np.full(count, 2 * count)], axis=1),
            np.stack([following + count, around + count, np.full(count, 2 * count + 1)], axis=1),
        ]
    )
    return painted(np.concatenate([left, right, middle]), triangles, paint)


def scattered_faces(
    generator: np.random.Generator, centers: NDArray[np.float64], size_m: ArrayLike, paint: Paint
) -> Mesh:
    """One small triangle in a random direction about each centre [N, 3]: foliage that lets some beams through."""
    offsets = generator.normal(size=(len(centers), 3, 3))
    offsets *= np.broadcast_to(np.asarray(size_m, np.float64), len(centers))[:, None, None]
    vertices = (centers[:, None, :] + offsets).reshape(-1, 3)
    return painted(vertices, np.arange(3 * len(centers)).reshape(-1, 3), paint)
