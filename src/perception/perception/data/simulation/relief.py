"""Surfaces of flat cells at different heights, joined by upright faces: streets with kerbs, walls with windows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perception.data.simulation.mesh import Mesh
from perception.data.simulation.shapes import triangles_of_quads


def relief(
    u_edges: NDArray[np.float64],
    v_edges: NDArray[np.float64],
    heights: NDArray[np.float64],
    class_ids: NDArray[np.uint8],
    materials: NDArray[np.uint8],
    tint: float = 1.0,
) -> Mesh:
    """Build cells in the uv plane, each at its height above it; vertices are (u, v, height).

    Args:
        u_edges: float64 [U + 1], ascending.
        v_edges: float64 [V + 1], ascending.
        heights: float64 [U, V].
        class_ids: uint8 [U, V]. An upright face has the class and material of the higher of its two cells.
        materials: uint8 [U, V].
        tint: factor on the reflectivity of all faces.
    """
    u_index, v_index = np.meshgrid(np.arange(len(u_edges) - 1), np.arange(len(v_edges) - 1), indexing="ij")
    u_low, u_high = u_edges[u_index], u_edges[u_index + 1]
    v_low, v_high = v_edges[v_index], v_edges[v_index + 1]
    cells = _corners((u_low, u_high, u_high, u_low), (v_low, v_low, v_high, v_high), (heights,) * 4)
    along_u = _steps(heights[:-1], heights[1:], (u_high[:-1],) * 2, (v_low[:-1], v_high[:-1]), class_ids, materials, 0)
    along_v = _steps(
        heights[:, :-1], heights[:, 1:], (u_low[:, :-1], u_high[:, :-1]), (v_high[:, :-1],) * 2, class_ids, materials, 1
    )
    vertices = np.concatenate([cells, along_u[0], along_v[0]])
    labels = np.concatenate([class_ids.ravel(), along_u[1], along_v[1]])
    surfaces = np.concatenate([materials.ravel(), along_u[2], along_v[2]])
    triangles = triangles_of_quads(np.arange(4 * len(vertices)).reshape(-1, 4))
    return Mesh(
        vertices.reshape(-1, 3).astype(np.float32),
        triangles,
        np.tile(labels, 2).astype(np.uint8),
        np.tile(surfaces, 2).astype(np.uint8),
        np.full(len(triangles), tint, np.float32),
        np.zeros(len(triangles), np.uint32),
    )


def _corners(u: tuple, v: tuple, height: tuple) -> NDArray[np.float64]:
    """Quads [Q, 4, 3] from the coordinates of their four corners, each an array of any shape."""
    corners = [np.stack([a.ravel(), b.ravel(), c.ravel()], axis=1) for a, b, c in zip(u, v, height, strict=True)]
    return np.stack(corners, axis=1)


def _steps(
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    u: tuple[NDArray[np.float64], NDArray[np.float64]],
    v: tuple[NDArray[np.float64], NDArray[np.float64]],
    class_ids: NDArray[np.uint8],
    materials: NDArray[np.uint8],
    axis: int,
) -> tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.uint8]]:
    """Upright quads between neighbours along an axis whose heights differ, with class and material of each."""
    count = class_ids.shape[axis]
    lower_index, upper_index = np.arange(count - 1), np.arange(1, count)
    step = np.abs(before - after) > 1e-4
    quads = _corners((u[0], u[1], u[1], u[0]), (v[0], v[1], v[1], v[0]), (before, before, after, after))
    higher = before >= after
    labels = [
        np.where(higher, grid.take(lower_index, axis=axis), grid.take(upper_index, axis=axis))[step]
        for grid in (class_ids, materials)
    ]
    return quads[step.ravel()], labels[0], labels[1]
