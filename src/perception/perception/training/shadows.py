"""Which points a sensor at the origin cannot see because others are in the way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def behind(
    points: NDArray[np.float32], occluders: NDArray[np.float32], cell_rad: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Find the points behind an occluder's points: in about the same direction, and farther away.

    Directions are sorted into cells; a point lies behind an occluder in its own cell or one of the eight around it, so
    that every point within one cell's width and height of an occluder's direction is found, and none beyond two.

    Args:
        points: float32 [N, 3 or more], x, y, z.
        occluders: float32 [M, 3 or more].
        cell_rad: float64 [2], azimuth and elevation that a cell spans; occluders may reach around the sensor.

    Returns:
        bool [N].
    """
    if len(points) == 0 or len(occluders) == 0:
        return np.zeros(len(points), bool)
    columns = max(1, int(2 * np.pi / cell_rad[0]))  # a whole number around, so that neighbours meet at the seam
    column, row, range_m = _cells(occluders, columns, cell_rad[1])
    first = int(row.min()) - 2
    nearest_m = np.full((int(row.max()) - first + 3, columns), np.inf, np.float32)
    np.minimum.at(nearest_m, (row - first, column), range_m)
    for axis in (0, 1):
        nearest_m = np.minimum(np.minimum(np.roll(nearest_m, 1, axis), nearest_m), np.roll(nearest_m, -1, axis))
    column, row, range_m = _cells(points, columns, cell_rad[1])
    return range_m > nearest_m[np.clip(row - first, 0, len(nearest_m) - 1), column]


def _cells(
    points: NDArray[np.float32], columns: int, height_rad: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """The column (azimuth) and row (elevation) of each direction's cell, and the range; [N] each."""
    x, y, z = np.ascontiguousarray(points[:, :3].T)
    distance_m = np.hypot(x, y)
    column = np.floor((np.arctan2(y, x) + np.pi) * (columns / (2 * np.pi))).astype(np.int64) % columns
    row = np.floor(np.arctan2(z, distance_m) / height_rad).astype(np.int64)
    return column, row, np.hypot(distance_m, z)
