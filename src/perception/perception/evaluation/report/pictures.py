"""Pictures of labelled clouds: from above, and as the sensor sees them.

Both views are dark on purpose: most of a picture is empty space, the SemanticKITTI colours were chosen for a black
background, and small bright points on a dark ground stay readable at half size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from perception.classes import IGNORED

Picture = NDArray[np.uint8]
Colors = NDArray[np.uint8]

BACKGROUND = (13, 17, 23)
GRID = (38, 46, 58)
UNLABELLED = (92, 99, 110)
CORRECT = (66, 76, 90)
WRONG = (255, 59, 48)
BEYOND_ANY_LIDAR_M = 1e4


@dataclass(frozen=True)
class BirdsEyeArea:
    """The ground that a bird's-eye picture shows: x forward is up, y left is left, metres around the sensor."""

    front_m: float = 45.0
    back_m: float = 35.0
    side_m: float = 30.0
    pixels_per_meter: float = 9.0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        width = 2 * self.side_m * self.pixels_per_meter
        height = (self.front_m + self.back_m) * self.pixels_per_meter
        return round(width), round(height)


@dataclass(frozen=True)
class RangeViewArea:
    """The directions that a range view shows; the default is the HDL-64E's field of view."""

    up_deg: float = 3.0
    down_deg: float = -25.0
    rows: int = 64
    columns: int = 2048
    pixels_per_row: int = 5


def class_colors(class_ids: NDArray[np.uint8], palette: Colors) -> Colors:
    """The colour of each point, uint8 [N, 3], from a palette uint8 [C, 3]; grey where the class is IGNORED."""
    table = np.tile(np.array(UNLABELLED, np.uint8), (IGNORED + 1, 1))
    table[: len(palette)] = palette
    return table[class_ids]


def error_colors(truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> Colors:
    """Red where the label is wrong, grey where it is right, nearly invisible where there is no truth, uint8 [N, 3]."""
    table = np.array([CORRECT, WRONG, GRID], np.uint8)
    return table[np.where(truth == IGNORED, 2, truth != predicted)]


def birds_eye_view(
    points: NDArray[np.float32],
    colors: Colors,
    area: BirdsEyeArea | None = None,
    on_top: NDArray[np.bool_] | None = None,
) -> Picture:
    """Draw a cloud from above, the highest points last.

    Args:
        points: float32 [N, >=3] in metres, x forward, y left, z up, relative to the sensor.
        colors: uint8 [N, 3].
        area: what to show.
        on_top: bool [N], points to draw over all others and larger, so that a few errors are seen.

    Returns:
        uint8 [height, width, 3].
    """
    area = area or BirdsEyeArea()
    width, height = area.size
    # Twice the size and then reduced: points keep soft edges instead of a raster's steps.
    scale = 2 * area.pixels_per_meter
    canvas = _ground_grid(area, scale)
    order = np.argsort(points[:, 2], kind="stable")
    xyz, colors = points[order, :3], colors[order]
    rows = ((area.front_m - xyz[:, 0]) * scale).astype(np.int32)
    columns = ((area.side_m - xyz[:, 1]) * scale).astype(np.int32)
    # Far from the sensor points are sparse: larger dots there keep surfaces closed.
    distances_m = np.hypot(xyz[:, 0], xyz[:, 1])
    for from_m, offset_row, offset_column in _DOT:
        drawn = distances_m >= from_m
        _paint(canvas, rows[drawn] + offset_row, columns[drawn] + offset_column, colors[drawn])
    if on_top is not None:
        marked = on_top[order]
        for offset_row, offset_column in _MARK:
            _paint(canvas, rows[marked] + offset_row, columns[marked] + offset_column, colors[marked])
    picture = Image.fromarray(canvas).resize((width, height), Image.Resampling.BOX)
    _draw_sensor(picture, area)
    return np.asarray(picture)


#: Least distance, row and column of each pixel of a dot, from the outside in: 3 x 3 pixels, 4 x 4 from 18 m on.
_DOT = (
    *((18.0, row, column) for row in range(-1, 3) for column in range(-1, 3) if 2 in (row, column)),
    *((0.0, row, column) for row in (-1, 0, 1) for column in (-1, 0, 1) if (row, column) != (0, 0)),
    (0.0, 0, 0),
)
#: Row and column of each pixel of a point that is drawn on top.
_MARK = tuple((row, column) for row in range(-2, 3) for column in range(-2, 3))


def _paint(canvas: Picture, rows: NDArray[np.int32], columns: NDArray[np.int32], colors: Colors) -> None:
    inside = (rows >= 0) & (rows < canvas.shape[0]) & (columns >= 0) & (columns < canvas.shape[1])
    canvas[rows[inside], columns[inside]] = colors[inside]


def _ground_grid(area: BirdsEyeArea, scale: float) -> Picture:
    """Rings every 10 m around the sensor."""
    size = (round(2 * area.side_m * scale), round((area.front_m + area.back_m) * scale))
    image = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(image)
    center = (area.side_m * scale, area.front_m * scale)
    for radius_m in range(10, int(np.hypot(area.side_m, max(area.front_m, area.back_m))), 10):
        draw.circle(center, radius_m * scale, outline=GRID, width=2)
    return np.array(image)


def _draw_sensor(image: Image.Image, area: BirdsEyeArea) -> None:
    """A small white arrowhead at the sensor, pointing forward."""
    x, y = area.side_m * area.pixels_per_meter, area.front_m * area.pixels_per_meter
    ImageDraw.Draw(image).polygon([(x, y - 9), (x + 6, y + 7), (x, y + 3), (x - 6, y + 7)], fill=(255, 255, 255))


def range_view(points: NDArray[np.float32], colors: Colors, area: RangeViewArea | None = None) -> Picture:
    """Draw a cloud as the sensor sees it: azimuth across (forward in the middle), elevation down, nearest point wins.

    The spherical projection of RangeNet++ (Milioto et al., IROS 2019), with contours darkened by depth.

    Args:
        points: float32 [N, >=3] in metres, relative to the sensor.
        colors: uint8 [N, 3].
        area: the directions to show.

    Returns:
        uint8 [rows * pixels_per_row, columns, 3].
    """
    area = area or RangeViewArea()
    nearest = _nearest_points(points, area)
    seen = nearest >= 0
    canvas = np.full((area.rows, area.columns, 3), BACKGROUND, np.uint8)
    ranges_m = np.full(seen.shape, BEYOND_ANY_LIDAR_M)
    ranges_m[seen] = np.linalg.norm(points[nearest[seen], :3], axis=1)
    canvas[seen] = (colors[nearest[seen]] * _eye_dome_shading(ranges_m)[seen, None]).astype(np.uint8)
    return canvas.repeat(area.pixels_per_row, axis=0)


def _nearest_points(points: NDArray[np.float32], area: RangeViewArea) -> NDArray[np.int64]:
    """The index of the nearest point in each cell, int64 [rows, columns], -1 where there is none."""
    ranges_m = np.linalg.norm(points[:, :3], axis=1)
    order = np.argsort(-ranges_m, kind="stable")
    order = order[ranges_m[order] > 0]
    x, y, z = points[order, :3].T
    elevation_deg = np.degrees(np.arcsin(np.clip(z / ranges_m[order], -1, 1)))
    rows = np.floor((area.up_deg - elevation_deg) / (area.up_deg - area.down_deg) * area.rows).astype(np.int64)
    columns = np.floor((0.5 - np.arctan2(y, x) / (2 * np.pi)) * area.columns).astype(np.int64) % area.columns
    inside = (rows >= 0) & (rows < area.rows)
    cells = np.full((area.rows, area.columns), -1, np.int64)
    cells[rows[inside], columns[inside]] = order[inside]
    return _close_gaps(_close_gaps(cells).T).T


def _close_gaps(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Fill single empty rows between two others: they come from rounding angles to cells, not from the scene."""
    closable = (cells[1:-1] < 0) & (cells[:-2] >= 0) & (cells[2:] >= 0)
    cells[1:-1][closable] = cells[:-2][closable]
    return cells


def _eye_dome_shading(ranges_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Brightness 0..1 of each cell: darker where its neighbours are nearer (Boucheny 2009, eye-dome lighting)."""
    depth = np.log(ranges_m)
    obscured = np.zeros_like(depth)
    for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
        obscured += np.clip(depth - np.roll(depth, step, axis) - 0.02, 0.0, 0.5)
    return np.exp(-1.2 * obscured)
