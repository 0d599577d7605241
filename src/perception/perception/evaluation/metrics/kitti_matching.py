"""Which detection takes which object of one frame, as KITTI's development kit decides it, at every threshold of score.

The kit goes through the objects in their order, and each takes a detection that scores enough, overlaps it enough and
is not taken yet: the one that overlaps most, or, where scores are sampled, the one that scores most. Who takes what
therefore changes with the threshold; here a frame is a series of changes to its counts, from the best score down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Scores = NDArray[np.float32]


class Scene(NamedTuple):
    """One frame as one class at one level sees it: M objects of the class or a neighbour of it, N detections.

    Attributes:
        overlaps: float [M, N], intersection over union.
        turns: float [M, N], yaw of the object less that of the detection, radians.
        counts: bool [M, G], whether an object must be found in each group; finding another is neither a hit nor a
            false alarm.
        scores: float [N].
        eligible: bool [N], whether a detection may be taken at all.
        small: bool [N], whether it is too small for the level, and so neither a hit nor a false alarm. It still may be
            what finds an object best, whose score is then left out of the sample.
        false_alarm: bool [N, G], whether a detection that no object takes is a false alarm.
    """

    overlaps: Floats
    turns: Floats
    counts: Flags
    scores: Floats
    eligible: Flags
    small: Flags
    false_alarm: Flags


class Matching(NamedTuple):
    """What scenes add to the curve of their class in one group.

    Attributes:
        objects: how many must be found.
        alarm_scores: float32 [F], of detections that are false alarms unless `changes` takes them back.
        changes: float32 [K, 4]: a score, and by how much the hits, the false alarms and the orientation similarity
            change from there down.
        hit_scores: float32 [H], the best score that finds each object that is found.
    """

    objects: int
    alarm_scores: Scores
    changes: Scores
    hit_scores: Scores


NOTHING = Matching(0, np.empty(0, np.float32), np.empty((0, 4), np.float32), np.empty(0, np.float32))


def joined(parts: Sequence[Matching]) -> Matching:
    """Put what scenes add together."""
    objects, *columns = zip(*(parts or [NOTHING]), strict=True)
    return Matching(sum(objects), *map(np.concatenate, columns))


class _Candidate(NamedTuple):
    detection: int
    overlap: float
    score: float
    small: bool


class _Pair(NamedTuple):
    row: int
    taken: _Candidate


#: A score, and what changes there: hits, false alarms, similarity.
_Change: TypeAlias = tuple[float, float, float, float]
#: A threshold, and what is taken at it.
_Step: TypeAlias = tuple[float, Sequence[_Pair]]


def match(scene: Scene, min_overlap: float) -> list[Matching]:
    """Match at every threshold, with figures of each group; an overlap must exceed `min_overlap`."""
    candidates = _candidates(scene, min_overlap)
    best = _assign(candidates, -np.inf, by_score=True)
    thresholds = sorted({one.score for of_row in candidates for one in of_row}, reverse=True)
    steps = [(threshold, _assign(candidates, threshold)) for threshold in thresholds]
    return [_of_group(scene, group, best, steps) for group in range(scene.counts.shape[1])]


def _of_group(scene: Scene, group: int, best: Sequence[_Pair], steps: Sequence[_Step]) -> Matching:
    counts, false_alarm = scene.counts[:, group], scene.false_alarm[:, group]
    hits = [pair.taken.score for pair in best if counts[pair.row] and not pair.taken.small]
    changes = _changes(scene.turns, counts, false_alarm, steps)
    # Of thresholds at which nothing changes, only those of hits are ever asked for.
    kept = np.array([change for change in changes if any(change[1:]) or change[0] in hits], np.float32)
    alarm_scores = scene.scores[false_alarm].astype(np.float32)
    return Matching(int(counts.sum()), alarm_scores, kept.reshape(-1, 4), np.array(hits, np.float32))


def _candidates(scene: Scene, min_overlap: float) -> list[list[_Candidate]]:
    """What each object may take, in the detections' order."""
    enough = (scene.overlaps > min_overlap) & scene.eligible
    return [
        [
            _Candidate(column, float(overlaps[column]), float(scene.scores[column]), bool(scene.small[column]))
            for column in np.flatnonzero(row).tolist()
        ]
        for row, overlaps in zip(enough, scene.overlaps, strict=True)
    ]


def _assign(candidates: Sequence[Sequence[_Candidate]], threshold: float, by_score: bool = False) -> list[_Pair]:
    """Let every object take one; of equal ones the first."""
    taken: set[int] = set()
    pairs = []
    for row, of_row in enumerate(candidates):
        free = [one for one in of_row if one.score >= threshold and one.detection not in taken]
        if not by_score:  # here the kit takes a small one only where there is no other, and it changes no count
            free = [one for one in free if not one.small]
        if free:
            best = max(free, key=lambda one: one.score if by_score else one.overlap)
            taken.add(best.detection)
            pairs.append(_Pair(row, best))
    return pairs


def _changes(turns: Floats, counts: Flags, false_alarm: Flags, steps: Sequence[_Step]) -> list[_Change]:
    """How objects that take detections change the counts of a group, from the best score down."""
    changes = []
    before = np.zeros(3)
    for threshold, pairs in steps:
        totals = _totals(turns, counts, false_alarm, pairs)
        changes.append((threshold, *(totals - before).tolist()))
        before = totals
    return changes


def _totals(turns: Floats, counts: Flags, false_alarm: Flags, pairs: Sequence[_Pair]) -> Floats:
    """Hits, false alarms (fewer: negative) and orientation similarity of pairs, float64 [3]."""
    hits = [(pair.row, pair.taken.detection) for pair in pairs if counts[pair.row] and not pair.taken.small]
    excused = sum(bool(false_alarm[pair.taken.detection]) for pair in pairs)
    similarity = sum(0.5 + 0.5 * np.cos(turns[place]) for place in hits)
    return np.array([len(hits), -excused, similarity])
