"""Precision over recall as KITTI reads it: at 40 levels, each with the best precision at that recall or more.

Sources as in `perception.evaluation.metrics.kitti`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception.evaluation.metrics.kitti_matching import Matching

#: Recalls of 1/40 to 1; a recall of 0 does not count.
RECALL_LEVELS = 40

Floats = NDArray[np.float64]


class KittiCurve(NamedTuple):
    """One class in one view at one level, at K falling thresholds of score.

    Attributes:
        objects: how many had to be found.
        scores: float64 [K], the thresholds.
        hits: float64 [K], objects that are found by detections that score as much or more.
        false_alarms: float64 [K], such detections that are none.
        similarity: float64 [K], sum over the hits of (1 + cos of the error of yaw) / 2.
        hit_scores: float64 [H], falling, the best score that finds each object that is found.
    """

    objects: int
    scores: Floats
    hits: Floats
    false_alarms: Floats
    similarity: Floats
    hit_scores: Floats

    @property
    def precision(self) -> Floats:
        """Share of the detections that are hits at every threshold, float64 [K]."""
        return self._share(self.hits)

    @property
    def recall(self) -> Floats:
        """Share of the objects that are found at every threshold, float64 [K]."""
        return self.hits / self.objects if self.objects else np.full(len(self.hits), np.nan)

    @property
    def average_precision(self) -> float:
        """Mean over 40 levels of recall of the best precision at that recall or more; NaN without objects."""
        return self._mean_over_levels(self.precision)

    @property
    def average_orientation_similarity(self) -> float:
        """As the average precision, hits weighted by how well their yaw fits (Geiger et al., section 2.5).

        KITTI's own figure takes its matches and angles from the image; this one takes them from space.
        """
        return self._mean_over_levels(self._share(self.similarity))

    @property
    def sampled_average_precision(self) -> float:
        """Average precision as KITTI's kit approximates it, for comparison with published figures; NaN without objects.

        The kit reads precision at 41 of the scores only, each nearest to the next level of recall, and drops the first.
        With 40 objects or fewer there are not enough scores, and even a perfect result stays below 1.
        """
        return self._mean_over_sample(self.precision)

    @property
    def sampled_average_orientation_similarity(self) -> float:
        """Average orientation similarity read at the same scores."""
        return self._mean_over_sample(self._share(self.similarity))

    def _sampled_scores(self) -> Floats:
        """The scores of hits that are nearest to recalls of 0, 1/40, 2/40 ..., one each."""
        chosen: list[float] = []
        wanted, last = 0.0, len(self.hit_scores) - 1
        for place, score in enumerate(self.hit_scores.tolist()):
            here, next_one = (place + 1) / self.objects, (place + 2) / self.objects
            if place == last or next_one - wanted >= wanted - here:
                chosen.append(score)
                wanted += 1 / RECALL_LEVELS  # added up with the kit's rounding errors, which decide between equals
        return np.array(chosen)

    def _share(self, of: Floats) -> Floats:
        detections = self.hits + self.false_alarms
        return np.divide(of, detections, out=np.zeros_like(of), where=detections > 0)

    def _mean_over_levels(self, values: Floats) -> float:
        if not self.objects:
            return float("nan")
        levels = range(1, RECALL_LEVELS + 1)
        best = [values[self.hits * RECALL_LEVELS >= level * self.objects].max(initial=0) for level in levels]
        return float(np.mean(best))

    def _mean_over_sample(self, values: Floats) -> float:
        if not self.objects:
            return float("nan")
        places = np.searchsorted(-self.scores, -self._sampled_scores())
        sampled = np.zeros(RECALL_LEVELS + 1)
        sampled[: len(places)] = values[places]
        return float(np.maximum.accumulate(sampled[::-1])[::-1][1:].mean())


def curve_of(matching: Matching) -> KittiCurve:
    """Add up what scenes add to a curve."""
    alarms = np.zeros((len(matching.alarm_scores), 4), np.float32)
    alarms[:, 0], alarms[:, 2] = matching.alarm_scores, 1
    changes = np.concatenate([alarms, matching.changes])
    scores, place = np.unique(changes[:, 0], return_inverse=True)
    rows = [np.bincount(place, column, len(scores))[::-1] for column in changes[:, 1:].T]
    hits, false_alarms, similarity = np.cumsum(np.array(rows, np.float64), axis=1)
    return KittiCurve(
        objects=matching.objects,
        scores=scores[::-1].astype(np.float64),
        hits=hits,
        false_alarms=false_alarms,
        similarity=np.minimum(similarity, hits),  # sums of changes are not exact
        hit_scores=np.sort(matching.hit_scores)[::-1].astype(np.float64),
    )
