"""How well objects were detected, as the nuScenes detection task defines it: matching by the distance of centres.

Source: Caesar et al., "nuScenes: A multimodal dataset for autonomous driving", CVPR 2020, section 3.1. A detection
matches the nearest object of its class and frame that no better one has taken, if it is near enough; curves are read at
101 levels of recall, and what lies below 10 % recall or precision counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception.types import Boxes3D

#: In metres: what still counts as found. Precision is averaged over all of them, errors are those at the third.
DISTANCES_M = (0.5, 1.0, 2.0, 4.0)
ERROR_DISTANCE_M = 2.0
MIN_RECALL, MIN_PRECISION = 0.1, 0.1
RECALLS = np.linspace(0, 1, 101)
#: The first level of recall that counts.
FIRST_LEVEL = round(100 * MIN_RECALL) + 1
#: Errors of matches: distance (m), 1 - IoU of the sizes, turn (rad), velocity (m/s).
ERRORS = ("translation", "scale", "orientation", "velocity")
#: Objects that look the same from the front and from behind.
HALF_TURN = ("barrier",)

Floats = NDArray[np.float64]


class Curve(NamedTuple):
    """One class at one distance, at the 101 levels of recall; 0 beyond the largest recall.

    Attributes:
        precision: float64 [101].
        score: float64 [101], the lowest that is needed.
        errors: float64 [4, 101], mean over the matches up to there, in the order of `ERRORS`.
    """

    precision: Floats
    score: Floats
    errors: Floats

    @property
    def average_precision(self) -> float:
        """Mean precision, of which and of recall 10 % are cut off."""
        above = np.maximum(self.precision[FIRST_LEVEL:] - MIN_PRECISION, 0)
        # The mean of many ones may exceed one by a rounding error.
        return min(1.0, float(above.mean()) / (1 - MIN_PRECISION))

    def mean_errors(self) -> Floats:
        """Mean of each error between 10 % and the largest recall, 1 where that is not reached: float64 [4]."""
        reached = np.flatnonzero(self.score)
        if not len(reached) or reached[-1] < FIRST_LEVEL:
            return np.ones(len(ERRORS))
        mean: Floats = self.errors[:, FIRST_LEVEL : reached[-1] + 1].mean(axis=1)
        return mean


class _Objects(NamedTuple):
    """Boxes of one class: float64 [M, 3], [M, 3], [M], [M, 2], [M]; and the frame of each, int64 [M]."""

    centers: Floats
    sizes: Floats
    yaws: Floats
    velocities: Floats
    scores: Floats
    frames: NDArray[np.int64]


_NOTHING = _Objects(*(np.empty((0, 3)),) * 2, np.empty(0), np.empty((0, 2)), np.empty(0), np.empty(0, np.int64))


class DetectionMetrics:
    """Detections and objects of as many frames as are added."""

    def __init__(self, class_names: Sequence[str], range_m: float | Mapping[str, float] = 50.0) -> None:
        """Start with no frames.

        Args:
            class_names: what is told apart; boxes of other names are left out.
            range_m: how far centres may be from the origin, seen from above; one number, or one for each class.
        """
        self.class_names = tuple(class_names)
        ranges = range_m if isinstance(range_m, Mapping) else dict.fromkeys(class_names, range_m)
        self._range_m = {name: float(ranges[name]) for name in class_names}
        self._truth: dict[str, list[_Objects]] = {name: [] for name in class_names}
        self._found: dict[str, list[_Objects]] = {name: [] for name in class_names}
        self.frames = 0

    def add(self, truth: Boxes3D, found: Boxes3D) -> None:
        """Add one frame; both in the same coordinates, the vehicle at the origin."""
        for boxes, kept in ((truth, self._truth), (found, self._found)):
            for name in self.class_names:
                kept[name].append(_objects(boxes, name, self._range_m[name], self.frames))
        self.frames += 1

    def objects(self, name: str) -> int:
        """Count the objects of a class."""
        return sum(len(part.scores) for part in self._truth[name])

    def curve(self, name: str, distance_m: float) -> Curve:
        """Match a class's detections with its objects at a distance."""
        return _curve(_joined(self._truth[name]), _joined(self._found[name]), distance_m, name in HALF_TURN)

    def average_precisions(self) -> Floats:
        """Average precision of each class at each of `DISTANCES_M`, float64 [C, 4]; NaN of classes without objects."""
        rows = [
            [self.curve(name, distance).average_precision if self.objects(name) else np.nan for distance in DISTANCES_M]
            for name in self.class_names
        ]
        return np.array(rows, np.float64).reshape(-1, len(DISTANCES_M))

    def mean_average_precision(self) -> float:
        """Mean over classes that have objects, and distances; NaN where no class has any."""
        values = self.average_precisions()
        occurs = ~np.isnan(values[:, 0])
        return float(values[occurs].mean()) if occurs.any() else float("nan")

    def errors(self) -> dict[str, Floats]:
        """Errors of the matches of each class that has objects, float64 [4] in the order of `ERRORS`."""
        return {
            name: self.curve(name, ERROR_DISTANCE_M).mean_errors() for name in self.class_names if self.objects(name)
        }


def _objects(boxes: Boxes3D, name: str, range_m: float, frame: int) -> _Objects:
    centers = boxes.centers.astype(np.float64)
    near = np.hypot(centers[:, 0], centers[:, 1]) < range_m
    rows = np.flatnonzero(near & np.array([one == name for one in boxes.class_names], bool))
    columns = (boxes.sizes, boxes.yaws, boxes.velocities, boxes.scores)
    sizes, yaws, velocities, scores = (column[rows].astype(np.float64) for column in columns)
    return _Objects(centers[rows], sizes, yaws, velocities, scores, np.full(len(rows), frame))


def _joined(parts: Sequence[_Objects]) -> _Objects:
    return _Objects(*map(np.concatenate, zip(*(parts or [_NOTHING]), strict=True)))


def _curve(truth: _Objects, found: _Objects, distance_m: float, half_turn: bool) -> Curve:
    order = np.lexsort((np.arange(len(found.scores)), found.scores))[
        ::-1
    ]  # of equal scores the last first, as in nuScenes
    partner = _matches(truth, found, order, distance_m)
    hit = partner >= 0
    if not hit.any():
        return Curve(np.zeros(len(RECALLS)), np.zeros(len(RECALLS)), np.ones((len(ERRORS), len(RECALLS))))
    hits = np.cumsum(hit)
    recall, scores = hits / len(truth.scores), found.scores[order]
    precision = np.interp(RECALLS, recall, hits / np.arange(1, len(order) + 1), right=0)
    score = np.interp(RECALLS, recall, scores, right=0)
    errors = _errors(truth, partner[hit], found, order[hit], half_turn)
    means = [_running_mean(row) for row in errors]
    at_hits = scores[hit][::-1]
    resampled = np.array([np.interp(score[::-1], at_hits, mean[::-1])[::-1] for mean in means])
    return Curve(precision, score, resampled)


def _matches(truth: _Objects, found: _Objects, order: NDArray[np.intp], distance_m: float) -> NDArray[np.int64]:
    """The object that each detection takes, best detection first: int64 [N], -1 for none."""
    partner, free = np.full(len(order), -1, np.int64), np.ones(len(truth.scores), bool)
    of_frame = {int(frame): np.flatnonzero(truth.frames == frame) for frame in np.unique(truth.frames)}
    for place, row in enumerate(order.tolist()):
        rows = of_frame.get(int(found.frames[row]), np.empty(0, np.intp))
        rows = rows[free[rows]]
        if not len(rows):
            continue
        away = np.hypot(*(truth.centers[rows, :2] - found.centers[row, :2]).T)
        if away.min() < distance_m:
            partner[place] = rows[away.argmin()]
            free[partner[place]] = False
    return partner


def _errors(
    truth: _Objects, objects: NDArray[np.int64], found: _Objects, rows: NDArray[np.intp], half_turn: bool
) -> Floats:
    """Errors of matches in the order of `ERRORS`, float64 [4, N]."""
    away = np.hypot(*(truth.centers[objects, :2] - found.centers[rows, :2]).T)
    common = np.minimum(truth.sizes[objects], found.sizes[rows]).prod(axis=1)
    overlap = common / (truth.sizes[objects].prod(axis=1) + found.sizes[rows].prod(axis=1) - common)
    period = np.pi if half_turn else 2 * np.pi
    turn = np.abs((truth.yaws[objects] - found.yaws[rows] + period / 2) % period - period / 2)
    velocity = np.hypot(*(truth.velocities[objects] - found.velocities[rows]).T)
    return np.stack([away, 1 - overlap, turn, velocity])


def _running_mean(values: Floats) -> Floats:
    """Mean of what is known up to each place; 0 before anything is, 1 everywhere if nothing ever is."""
    known = ~np.isnan(values)
    if not known.any():
        return np.ones(len(values))
    sums, counts = np.nancumsum(values), np.cumsum(known)
    return np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
