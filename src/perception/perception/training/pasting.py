"""Objects of rare classes, cut from some clouds and put into others as the sensor would have seen them there.

An object keeps its distance and turns only about the sensor's vertical axis, so that the density of its points and the
side that it shows stay true; it stands on visible ground that nothing else stands on; what lies behind it is gone, and
so is what of it lies behind something else. Pasting objects from other clouds comes from Yan et al., "SECOND", Sensors
2018.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perception.data.boxes import joined, moved, turn
from perception.training.clouds import LabelledPoints
from perception.training.object_bank import (
    CLEARANCE_M,
    MIN_GROUND_POINTS,
    MIN_POINTS,
    Mask,
    ObjectBank,
    PastedObject,
    Points,
    Rows,
    is_any,
    turned,
)
from perception.training.settings import AugmentationSettings
from perception.training.shadows import behind
from perception.types import Boxes3D

#: Directions that are tried for an object.
TRIES = 10
#: How thick the layer of points is that still counts as ground, and how much the ground under an object may differ in
#: height.
GROUND_THICKNESS_M, GROUND_RELIEF_M = 0.25, 0.3


def paste_objects(
    points: Points,
    class_ids: NDArray[np.uint8],
    bank: ObjectBank,
    settings: AugmentationSettings,
    rng: np.random.Generator,
) -> tuple[Points, NDArray[np.uint8]]:
    """Put objects into a cloud: a Poisson number of `settings.paste` in the mean, their classes drawn evenly.

    Args:
        points: float32 [N, 4], the sensor at the origin; not changed.
        class_ids: uint8 [N]; not changed.
        bank: where objects come from.
        settings: how many, and how coarse shadows are.
        rng: where chance comes from.

    Returns:
        the points and classes with the objects, without what they hide; an object for which no place is found in a few
        tries is left out.
    """
    pasted = paste_into(LabelledPoints(points, class_ids), bank, settings, rng)
    return pasted.points, pasted.class_ids


def paste_into(
    cloud: LabelledPoints, bank: ObjectBank, settings: AugmentationSettings, rng: np.random.Generator
) -> LabelledPoints:
    """Put objects and their boxes into a cloud as `paste_objects` does; which point is whose is forgotten."""
    points, class_ids = cloud.points, cloud.class_ids
    count = rng.poisson(settings.paste) if bank.objects else 0
    items = [_drawn(bank.objects[kind], rng) for kind in rng.integers(len(bank.objects), size=count)]
    scene = _Scene(points, class_ids, bank.ground, room=sum(len(item.points) for item in items))
    for item in items:
        scene.paste(item, np.radians(settings.paste_shadow_deg), rng)
    boxes = None if cloud.boxes is None else joined([cloud.boxes, *scene.boxes])
    return LabelledPoints(scene.points[scene.kept], scene.class_ids[scene.kept], None, boxes)


class _Scene:
    """A cloud with room for objects.

    Attributes:
        points: float32 [N + room, 4].
        class_ids: uint8 [N + room].
        kept: bool [N + room], which of them are there and not hidden.
        boxes: of the objects that were put into it, where they have one.
    """

    def __init__(self, points: Points, class_ids: NDArray[np.uint8], ground: NDArray[np.uint8], room: int) -> None:
        self.points = np.concatenate([points, np.empty((room, points.shape[1]), np.float32)])
        self.class_ids = np.concatenate([class_ids, np.empty(room, np.uint8)])
        self.kept = np.zeros(len(self.points), bool)
        # In the plane, from the sensor; NaN, which no comparison holds for, where there is no point.
        self._distance_m, self._azimuth = np.full((2, len(self.points)), np.nan, np.float32)
        self._is_ground = np.zeros(len(self.points), bool)
        self._ground_ids = ground
        self._end = 0
        self.boxes: list[Boxes3D] = []
        self._add(points, class_ids)

    def paste(self, item: PastedObject, shadow_rad: NDArray[np.float64], rng: np.random.Generator) -> None:
        """Put an object somewhere, if there is room."""
        place = self._place(item, rng)
        if place is None:
            return
        azimuth, height_m = place
        placed = turned(item.points, azimuth)
        placed[:, 2] += height_m
        rows = np.flatnonzero(self._within(azimuth, item.half_width_rad + 3 * shadow_rad[0]))
        standing = rows[~self._is_ground[rows]]
        seen = ~behind(placed, self.points[standing], shadow_rad)
        if seen.sum() >= MIN_POINTS:
            self._remove(rows[behind(self.points[rows], placed[seen], shadow_rad)])
            self._add(placed[seen], item.class_ids[seen])
            if item.box is not None:
                self.boxes.append(moved(item.box, turn(azimuth), np.array([0, 0, height_m])))

    def _place(self, item: PastedObject, rng: np.random.Generator) -> tuple[float, float] | None:
        """Find an azimuth where the object stands on free ground, and the ground's height there."""
        reach = np.hypot(*np.maximum(np.abs(item.low[:2]), np.abs(item.high[:2]))) + CLEARANCE_M
        near = np.flatnonzero((self._distance_m >= max(item.low[0] - CLEARANCE_M, 0)) & (self._distance_m <= reach))
        candidates = near[self._is_ground[near]]
        if len(candidates) == 0:
            return None
        for azimuth in self._azimuth[rng.choice(candidates, TRIES)].tolist():
            height_m = self._free_ground(item, near, azimuth)
            if height_m is not None:
                return azimuth, height_m
        return None

    def _free_ground(self, item: PastedObject, rows: Rows, azimuth: float) -> float | None:
        """Give the height of the ground below an object, None where there is none, a slope, or another object."""
        margin_rad = CLEARANCE_M / max(item.low[0], CLEARANCE_M)
        rows = rows[self._within(azimuth, item.half_width_rad + 2 * margin_rad, rows)]
        xyz = turned(self.points[rows, :3], -azimuth)
        inside = ((xyz[:, :2] >= item.low[:2] - CLEARANCE_M) & (xyz[:, :2] <= item.high[:2] + CLEARANCE_M)).all(1)
        heights_m, is_ground = xyz[inside, 2], self._is_ground[rows[inside]]
        if is_ground.sum() < MIN_GROUND_POINTS or np.ptp(heights_m[is_ground]) > GROUND_RELIEF_M:
            return None
        ground_m = float(np.median(heights_m[is_ground]))
        above = heights_m - ground_m
        taken = ~is_ground & (above > min(GROUND_THICKNESS_M, item.high[2])) & (above < item.high[2] + CLEARANCE_M)
        return None if taken.any() else ground_m

    def _within(self, azimuth: float, half_width_rad: float, rows: Rows | slice = slice(None)) -> Mask:
        return np.abs(_wrapped(self._azimuth[rows] - np.float32(azimuth))) <= half_width_rad

    def _remove(self, rows: Rows) -> None:
        self.kept[rows] = False
        self._distance_m[rows] = self._azimuth[rows] = np.nan

    def _add(self, points: Points, class_ids: NDArray[np.uint8]) -> None:
        new = slice(self._end, self._end + len(points))
        self._end = new.stop
        self.points[new], self.class_ids[new], self.kept[new] = points, class_ids, True
        x, y = np.ascontiguousarray(points[:, :2].T)
        self._distance_m[new], self._azimuth[new] = np.hypot(x, y), np.arctan2(y, x)
        self._is_ground[new] = is_any(class_ids, self._ground_ids)


def _drawn(items: tuple[PastedObject, ...], rng: np.random.Generator) -> PastedObject:
    return items[rng.integers(len(items))]


def _wrapped(angle: Points) -> Points:
    """Angles of -2 pi to 2 pi as the same ones of -pi to pi."""
    turn = np.float32(2 * np.pi)
    return (angle - turn * np.rint(angle / turn)).astype(np.float32, copy=False)
