"""Which detection takes which object of one frame, as nuScenes decides it, and what is kept of that: a few bytes each.

Source as in `perception.evaluation.metrics.detection`: the best detection goes first and takes the nearest object of
its class that is free, if it is near enough. Frames have nothing to do with each other: nothing else has to be kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception.types import Boxes3D

#: In metres: what still counts as found. Precision is averaged over all of them, errors are those at the third.
DISTANCES_M = (0.5, 1.0, 2.0, 4.0)
ERROR_DISTANCE_M = 2.0
ERROR_COLUMN = DISTANCES_M.index(ERROR_DISTANCE_M)
#: Errors of matches: distance (m), 1 - IoU of the sizes, turn (rad), velocity (m/s).
ERRORS = ("translation", "scale", "orientation", "velocity")
#: Objects that look the same from the front and from behind.
HALF_TURN = ("barrier",)
#: The bit of an object that is taken, in whatever group it counts.
TAKEN = 1 << 15
MOST_GROUPS = 15

Floats = NDArray[np.float64]
Bits = NDArray[np.uint16]


class Matches(NamedTuple):
    """N detections of one frame or of many, H of which take an object within `ERROR_DISTANCE_M`.

    A bit is a group in which boxes count: an object that counts must be found, a detection that counts is a false alarm
    unless it takes an object. What takes an object that does not count is neither a hit nor a false alarm.

    Attributes:
        classes: uint8 [N].
        scores: float32 [N].
        counts: uint16 [N], the groups of each detection.
        taken: uint16 [N, 4], the groups of the object that it takes within each of `DISTANCES_M`, and `TAKEN`; or 0.
        errors: float64 [H, 4], in the order of `ERRORS`.
    """

    classes: NDArray[np.uint8]
    scores: NDArray[np.float32]
    counts: Bits
    taken: Bits
    errors: Floats


NOTHING = Matches(
    np.empty(0, np.uint8),
    np.empty(0, np.float32),
    np.empty(0, np.uint16),
    np.empty((0, len(DISTANCES_M)), np.uint16),
    np.empty((0, len(ERRORS))),
)


def joined(parts: Sequence[Matches]) -> Matches:
    """Put the detections of frames one after the other."""
    return Matches(*map(np.concatenate, zip(*(parts or [NOTHING]), strict=True)))


class Side(NamedTuple):
    """Truth or detections: boxes, the class of each (int64 [M], -1: left out), and the groups in which it counts."""

    boxes: Boxes3D
    classes: NDArray[np.int64]
    counts: Bits


def match(truth: Side, found: Side, class_names: Sequence[str]) -> Matches:
    """Match one frame, class by class."""
    kept = np.flatnonzero(found.classes >= 0)
    taken = np.zeros((len(found.classes), len(DISTANCES_M)), np.uint16)
    errors = np.zeros((len(found.classes), len(ERRORS)))
    for number in np.intersect1d(truth.classes, found.classes[kept]).tolist():
        objects, rows = np.flatnonzero(truth.classes == number), _best_first(found, number)
        away = _distances_m(found.boxes, truth.boxes, rows, objects)
        for column, limit_m in enumerate(DISTANCES_M):
            partner = _assign(away, limit_m)
            hits = rows[partner >= 0]
            of_hits = objects[partner[partner >= 0]]
            taken[hits, column] = truth.counts[of_hits] | TAKEN
            if column == ERROR_COLUMN:
                errors[hits] = _errors(truth.boxes, of_hits, found.boxes, hits, class_names[number] in HALF_TURN)
    with_errors = taken[:, ERROR_COLUMN] > 0
    scores = found.boxes.scores[kept].astype(np.float32)
    return Matches(found.classes[kept].astype(np.uint8), scores, found.counts[kept], taken[kept], errors[with_errors])


def _distances_m(one: Boxes3D, other: Boxes3D, rows: NDArray[np.intp], of_other: NDArray[np.intp]) -> Floats:
    """Distances between centres seen from above, float64 [N, M]."""
    apart = one.centers[rows, None, :2].astype(np.float64) - other.centers[of_other, :2]
    distances: Floats = np.hypot(apart[..., 0], apart[..., 1])
    return distances


def best_first(scores: NDArray[np.float32]) -> NDArray[np.intp]:
    """Order by score; of equal ones the last goes first, as in nuScenes."""
    return np.lexsort((np.arange(len(scores)), scores))[::-1]


def _best_first(found: Side, number: int) -> NDArray[np.intp]:
    rows = np.flatnonzero(found.classes == number)
    return rows[best_first(found.boxes.scores[rows])]


def _assign(away: Floats, limit_m: float) -> NDArray[np.int64]:
    """The object that each detection takes, best detection first: int64 [N], -1 for none."""
    partner, left = np.full(len(away), -1, np.int64), away.copy()
    for place in np.flatnonzero((away < limit_m).any(axis=1)).tolist():
        nearest = int(left[place].argmin())
        if left[place, nearest] < limit_m:
            partner[place] = nearest
            left[:, nearest] = np.inf
    return partner


def _errors(
    truth: Boxes3D, objects: NDArray[np.intp], found: Boxes3D, rows: NDArray[np.intp], half_turn: bool
) -> Floats:
    """Errors of matches in the order of `ERRORS`, float64 [H, 4]."""
    of_truth, of_found = (
        [column[chosen].astype(np.float64) for column in (side.centers, side.sizes, side.yaws, side.velocities)]
        for side, chosen in ((truth, objects), (found, rows))
    )
    centers, sizes, yaws, velocities = zip(of_truth, of_found, strict=True)
    common = np.minimum(*sizes).prod(axis=1)
    overlap = common / (sizes[0].prod(axis=1) + sizes[1].prod(axis=1) - common)
    period = np.pi if half_turn else 2 * np.pi
    turn = np.abs((yaws[0] - yaws[1] + period / 2) % period - period / 2)
    away, speed = (np.hypot(*(pair[0] - pair[1])[:, :2].T) for pair in (centers, velocities))
    return np.stack([away, 1 - overlap, turn, speed], axis=1)
