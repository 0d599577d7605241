"""Objects of rare classes, cut out of clouds to be put into others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perception.classes import ClassSet
from perception.data.boxes import chosen, moved, turn
from perception.training.clouds import LabelledPoints
from perception.types import Boxes3D

#: An object that shows fewer points is not worth pasting.
MIN_POINTS = 20
#: Objects kept of each class, and clouds that are searched for them.
MAX_OBJECTS, MAX_CLOUDS = 500, 2000
#: How far around an object the ground is looked at, and the points there that say how high it lies.
CLEARANCE_M, MIN_GROUND_POINTS = 0.2, 3

Points = NDArray[np.float32]
Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class PastedObject:
    """An object, turned about the sensor until its middle lies at azimuth 0 (on the x axis).

    Attributes:
        points: float32 [N, 4 or 5], z counted from the ground on which the object stands.
        class_ids: uint8 [N].
        low, high: float32 [3], the smallest and the largest coordinates.
        half_width_rad: the largest azimuth.
        box: its own, as its points are turned and lowered; None where boxes are unknown.
    """

    points: Points
    class_ids: NDArray[np.uint8]
    low: Points
    high: Points
    half_width_rad: float
    box: Boxes3D | None = None


@dataclass(frozen=True)
class ObjectBank:
    """Objects to choose from.

    Attributes:
        objects: those of each class that has any.
        ground: ids of the classes on which they may stand.
    """

    objects: tuple[tuple[PastedObject, ...], ...]
    ground: NDArray[np.uint8]


def object_bank(clouds: Sequence[LabelledPoints], classes: ClassSet) -> ObjectBank:
    """Collect the objects of the rare classes of a data set; the same clouds always give the same bank."""
    wanted, ground = classes.ids(classes.rare), classes.ids(classes.ground)
    found: dict[int, list[PastedObject]] = {int(class_id): [] for class_id in wanted}
    for number in np.linspace(0, len(clouds) - 1, min(len(clouds), MAX_CLOUDS)).astype(int):
        for item in _objects_of(clouds[number], wanted, ground):
            found[int(np.bincount(item.class_ids).argmax())].append(item)
    return ObjectBank(tuple(_spread(items) for items in found.values() if items), ground)


def _objects_of(cloud: LabelledPoints, wanted: NDArray[np.uint8], ground: NDArray[np.uint8]) -> list[PastedObject]:
    if cloud.instance_ids is None:
        return []
    rows = np.flatnonzero(is_any(cloud.class_ids, wanted) & (cloud.instance_ids != 0))
    _, objects, counts = np.unique(cloud.instance_ids[rows], return_inverse=True, return_counts=True)
    parts = np.split(rows[np.argsort(objects, kind="stable")], np.cumsum(counts)[:-1])
    ground_points = cloud.points[is_any(cloud.class_ids, ground), :3]
    ground_points = ground_points[np.argsort(ground_points[:, 0])]
    cuttable = [part for part in parts if len(part) >= MIN_POINTS]
    if cloud.boxes is None:
        return [_cut(cloud, part, ground_points) for part in cuttable]
    # Among boxes that a detector is to find, an object without one would be taught as none.
    rows_of = {name: row for row, name in enumerate(cloud.boxes.ids)}
    boxes = [rows_of.get(str(cloud.instance_ids[part[0]])) for part in cuttable]
    return [
        _cut(cloud, part, ground_points, chosen(cloud.boxes, np.array([row])))
        for part, row in zip(cuttable, boxes, strict=True)
        if row is not None
    ]


def _cut(cloud: LabelledPoints, rows: Rows, ground_points: Points, box: Boxes3D | None = None) -> PastedObject:
    """Take an object out of its cloud, whose ground is sorted by x; without ground below, its lowest point stands."""
    points = cloud.points[rows]
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    middle = (low + high) / 2
    strip = slice(*np.searchsorted(ground_points[:, 0], [low[0] - CLEARANCE_M, high[0] + CLEARANCE_M]))
    y, z = ground_points[strip, 1], ground_points[strip, 2]
    below = z[(y >= low[1] - CLEARANCE_M) & (y <= high[1] + CLEARANCE_M)]
    azimuth = float(np.arctan2(middle[1], middle[0]))
    points = turned(points, -azimuth)
    ground_m = float(np.median(below) if len(below) >= MIN_GROUND_POINTS else points[:, 2].min())
    points[:, 2] -= np.float32(ground_m)
    half_width_rad = float(np.abs(np.arctan2(points[:, 1], points[:, 0])).max())
    if box is not None:
        box = moved(box, turn(-azimuth), np.array([0, 0, -ground_m]))
    extent = points[:, :3].min(0), points[:, :3].max(0)
    return PastedObject(points, cloud.class_ids[rows], *extent, half_width_rad, box)


def _spread(items: list[PastedObject]) -> tuple[PastedObject, ...]:
    """Keep at most MAX_OBJECTS, from everywhere in the list."""
    chosen = np.linspace(0, len(items) - 1, min(len(items), MAX_OBJECTS)).astype(int)
    return tuple(items[number] for number in chosen)


def turned(points: Points, angle: float) -> Points:
    """A copy, turned about z; columns after y stay."""
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    turned = points.copy()
    turned[:, 0] = cos * points[:, 0] - sin * points[:, 1]
    turned[:, 1] = sin * points[:, 0] + cos * points[:, 1]
    return turned


def is_any(class_ids: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> Mask:
    """Tell which of the class ids [N] are among those wanted: bool [N]."""
    table = np.zeros(256, bool)
    table[wanted] = True
    return table[class_ids]
