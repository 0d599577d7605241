"""Precision, score and errors over recall as the nuScenes detection task reads them, of one class at one distance.

Source as in `perception.evaluation.metrics.detection`: curves are read at 101 levels of recall.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception.evaluation.metrics.detection_matching import best_first

MIN_RECALL, MIN_PRECISION = 0.1, 0.1
RECALLS = np.linspace(0, 1, 101)
#: The first level of recall that counts.
FIRST_LEVEL = round(100 * MIN_RECALL) + 1

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Curve(NamedTuple):
    """One class at one distance, at the 101 levels of recall; 0 beyond the largest recall.

    Attributes:
        precision: float64 [101].
        score: float64 [101], the lowest that is needed.
    """

    precision: Floats
    score: Floats

    @property
    def average_precision(self) -> float:
        """Mean precision, of which and of recall 10 % are cut off."""
        above = np.maximum(self.precision[FIRST_LEVEL:] - MIN_PRECISION, 0)
        # The mean of many ones may exceed one by a rounding error.
        return min(1.0, float(above.mean()) / (1 - MIN_PRECISION))


#: Of a class of which nothing was found.
NO_CURVE = Curve(np.zeros(len(RECALLS)), np.zeros(len(RECALLS)))


def curve_of(scores: NDArray[np.float32], hits: Flags, objects: int) -> Curve:
    """Read a curve off detections that are hits or false alarms, [N], in the order in which they were found."""
    order = best_first(scores)
    return curve_of_ranked(scores[order], hits[order], objects)


def curve_of_ranked(scores: NDArray[np.float32], hits: Flags, objects: int) -> Curve:
    """Read a curve off detections that are hits or false alarms, [N], best first."""
    if not hits.any():
        return NO_CURVE
    found = np.cumsum(hits)
    return curve_through(found / objects, found / np.arange(1, len(hits) + 1), scores.astype(np.float64))


def curve_through(recall: Floats, precision: Floats, score: Floats) -> Curve:
    """Read a curve between points of rising recall, [N] each; of those of the same recall the last counts."""
    at_levels = (np.interp(RECALLS, recall, values, right=0) for values in (precision, score))
    return Curve(*at_levels)


def error_curves(curve: Curve, scores: NDArray[np.float32], errors: Floats) -> Floats:
    """Mean of each error over the hits up to each level of recall, float64 [K, 101].

    All 1 without hits, and NaN where nothing is known of the hits.

    Args:
        curve: of the same class and distance.
        scores: float32 [H], of the hits only, in the order in which they were found.
        errors: float64 [H, K].
    """
    order = best_first(scores)
    return error_curves_of_ranked(curve, scores[order], errors[order])


def error_curves_of_ranked(curve: Curve, scores: NDArray[Any], errors: Floats) -> Floats:
    """As `error_curves`, of hits with the best first."""
    if not len(scores):
        return np.ones((errors.shape[1], len(RECALLS)))
    at_hits = scores.astype(np.float64)[::-1]
    means = [_running_mean(column) for column in errors.T]
    return np.array([np.interp(curve.score[::-1], at_hits, mean[::-1])[::-1] for mean in means])


def mean_errors(curve: Curve, errors: Floats) -> Floats:
    """Mean of `error_curves` between 10 % and the largest recall, 1 where that is not reached: float64 [K]."""
    reached = np.flatnonzero(curve.score)
    if not len(reached) or reached[-1] < FIRST_LEVEL:
        return np.ones(len(errors))
    mean: Floats = errors[:, FIRST_LEVEL : reached[-1] + 1].mean(axis=1)
    return mean


def _running_mean(values: Floats) -> Floats:
    """Mean of what is known up to each place; 0 before anything is, NaN everywhere if nothing ever is."""
    known = ~np.isnan(values)
    if not known.any():
        return np.full(len(values), np.nan)
    sums, counts = np.nancumsum(values), np.cumsum(known)
    return np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
