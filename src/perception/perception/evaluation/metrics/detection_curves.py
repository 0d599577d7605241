"""Precision, score and errors over recall as the nuScenes detection task reads them, of one class at one distance.

Source as in `perception.evaluation.metrics.detection`: the best detection goes first and takes the nearest object that
is free; curves are read at 101 levels of recall.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MIN_RECALL, MIN_PRECISION = 0.1, 0.1
RECALLS = np.linspace(0, 1, 101)
#: The first level of recall that counts.
FIRST_LEVEL = round(100 * MIN_RECALL) + 1
#: Errors of matches: distance (m), 1 - IoU of the sizes, turn (rad), velocity (m/s).
ERRORS = ("translation", "scale", "orientation", "velocity")

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


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


class Objects(NamedTuple):
    """Boxes of one class: float64 [M, 3], [M, 3], [M], [M, 2], [M]; and the frame of each, int64 [M].

    `counts`, bool [M]: whether an object must be found, and whether a detection that takes none is a false alarm. What
    takes an object that does not count is neither a hit nor a false alarm.
    """

    centers: Floats
    sizes: Floats
    yaws: Floats
    velocities: Floats
    scores: Floats
    frames: NDArray[np.int64]
    counts: Flags


NOTHING = Objects(
    *(np.empty((0, 3)),) * 2, np.empty(0), np.empty((0, 2)), np.empty(0), np.empty(0, np.int64), np.empty(0, np.bool_)
)


def joined(parts: Sequence[Objects]) -> Objects:
    """Put boxes one after the other."""
    return Objects(*map(np.concatenate, zip(*(parts or [NOTHING]), strict=True)))


def match_curve(truth: Objects, found: Objects, distance_m: float, half_turn: bool) -> Curve:
    """Match detections with objects nearer than a distance; `half_turn`: which end is the front does not matter."""
    # Of equal scores the last goes first, as in nuScenes.
    order = np.lexsort((np.arange(len(found.scores)), found.scores))[::-1]
    partner = _matches(truth, found, order, distance_m)
    kept = np.where(partner >= 0, np.append(truth.counts, False)[partner], found.counts[order])
    order, partner = order[kept], partner[kept]
    hit = partner >= 0
    if not hit.any():
        return Curve(np.zeros(len(RECALLS)), np.zeros(len(RECALLS)), np.ones((len(ERRORS), len(RECALLS))))
    hits = np.cumsum(hit)
    recall, scores = hits / truth.counts.sum(), found.scores[order]
    precision = np.interp(RECALLS, recall, hits / np.arange(1, len(order) + 1), right=0)
    score = np.interp(RECALLS, recall, scores, right=0)
    errors = _errors(truth, partner[hit], found, order[hit], half_turn)
    means = [_running_mean(row) for row in errors]
    at_hits = scores[hit][::-1]
    resampled = np.array([np.interp(score[::-1], at_hits, mean[::-1])[::-1] for mean in means])
    return Curve(precision, score, resampled)


def _matches(truth: Objects, found: Objects, order: NDArray[np.intp], distance_m: float) -> NDArray[np.int64]:
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
    truth: Objects, objects: NDArray[np.int64], found: Objects, rows: NDArray[np.intp], half_turn: bool
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
