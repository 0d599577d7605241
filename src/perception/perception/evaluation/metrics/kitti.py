"""How well objects were detected, as KITTI's 3D benchmark defines it: matching by overlap, 40 levels of recall.

Sources: Geiger et al., "Are we ready for autonomous driving? The KITTI vision benchmark suite", CVPR 2012 (levels,
matching, orientation similarity); Simonelli et al., "Disentangling monocular 3D object detection", ICCV 2019, section 4
(40 levels of recall in place of 11). Details that the papers leave open are as in the benchmark's development kit.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perception import ops
from perception.data.kitti_levels import LEVELS
from perception.evaluation.metrics.groups import group_flags
from perception.evaluation.metrics.kitti_curve import KittiCurve, curve_of
from perception.evaluation.metrics.kitti_matching import Matching, Scene, joined, match
from perception.types import Boxes3D

#: Overlap seen from above, and of volumes.
VIEWS = ("bev", "3d")
#: Objects of this name are regions: detections of which more than the class's overlap lies inside are left out. The
#: regions of KITTI's own files have no extent in space (dimensions -1): like its kit, this leaves them without effect.
DONT_CARE = "DontCare"

MOST_PARTS = 256

Flags = NDArray[np.bool_]


class KittiClass(NamedTuple):
    """What is told apart; names are compared without regard to case.

    Attributes:
        name: of the class, in truth and detections.
        min_overlap: the intersection over union that a match must exceed.
        neighbours: names of true objects so alike that finding one is neither a hit nor a false alarm.
    """

    name: str
    min_overlap: float
    neighbours: tuple[str, ...] = ()


KITTI_CLASSES = (
    KittiClass("Car", 0.7, ("Van",)),
    KittiClass("Pedestrian", 0.5, ("Person_sitting",)),
    KittiClass("Cyclist", 0.5),
)


class _Side(NamedTuple):
    """Truth or detections of a frame: boxes, names in lower case, first level of each, groups in which it counts."""

    boxes: Boxes3D
    names: NDArray[np.str_]
    levels: NDArray[np.int64]
    counts: Flags


class KittiMetrics:
    """Detections and objects of as many frames as are added."""

    def __init__(
        self, classes: Sequence[KittiClass] = KITTI_CLASSES, levels: Sequence[str] = LEVELS, groups: int = 1
    ) -> None:
        """Start with no frames.

        Args:
            classes: what is told apart; boxes of other names are left out.
            levels: names of the levels; where no object's level is known, one is all that is of use.
            groups: in how many groups boxes may count; figures are of the first, or of that which `group` gives.
        """
        self.classes, self.levels, self.groups = tuple(classes), tuple(levels), groups
        self._group = 0
        self._matchings: defaultdict[tuple[int, str, str, str], list[Matching]] = defaultdict(list)
        self.frames = 0

    def add(
        self,
        truth: Boxes3D,
        found: Boxes3D,
        *,
        truth_levels: ArrayLike | None = None,
        found_levels: ArrayLike | None = None,
        truth_counts: ArrayLike | None = None,
        found_counts: ArrayLike | None = None,
    ) -> None:
        """Add one frame; both in the same coordinates.

        Args:
            truth: M objects, neighbours and regions of `DONT_CARE`.
            found: N detections.
            truth_levels: int [M], the first level that counts each object, see `kitti_levels`; the first by default. An
                object that a level does not count is neither hit nor missed there.
            found_levels: int [N], of detections by their height in the image; the first by default.
            truth_counts: bool [M] or [M, groups], False for objects that no level counts; all count by default.
            found_counts: bool [N] or [N, groups], False for detections that are no false alarms where no object takes
                them.

        Raises:
            ValueError: levels or flags are not as many as the boxes.
        """
        of_truth = _side(truth, truth_levels, truth_counts, self.groups)
        of_found = _side(found, found_levels, found_counts, self.groups)
        for view in VIEWS:
            overlaps = _overlaps(truth, found, view)
            covered = _share_of_found(truth, found, overlaps, view)[of_truth.names == DONT_CARE.lower()]
            for one in self.classes:
                in_region = (covered > one.min_overlap).any(axis=0)
                for level, name in enumerate(self.levels):
                    scene = _scene(one, level, of_truth, of_found, overlaps, in_region)
                    for group, matching in enumerate(match(scene, one.min_overlap)):
                        self._keep((group, one.name, view, name), matching)
        self.frames += 1

    def _keep(self, key: tuple[int, str, str, str], matching: Matching) -> None:
        parts = self._matchings[key]
        if matching.objects or len(matching.alarm_scores) or len(matching.changes):
            parts.append(matching)
        if len(parts) > MOST_PARTS:  # arrays of a few numbers take more memory than the numbers
            parts[:] = [joined(parts)]

    def merge(self, other: KittiMetrics) -> None:
        """Add everything that metrics of the same classes have seen."""
        if (other.classes, other.levels, other.groups) != (self.classes, self.levels, self.groups):
            raise ValueError(f"cannot merge metrics of {other.classes} into those of {self.classes}")
        for key, matchings in other._matchings.items():
            self._matchings[key] += matchings
        self.frames += other.frames

    def group(self, number: int) -> KittiMetrics:
        """Give the same metrics with the figures of another group."""
        view = copy.copy(self)
        view._group = range(self.groups)[number]
        return view

    def objects(self, name: str, level: str) -> int:
        """Count the objects of a class that must be found at a level."""
        return sum(one.objects for one in self._matchings[self._group, name, VIEWS[0], level])

    def curve(self, name: str, view: str, level: str) -> KittiCurve:
        """Give a class's curve in one of `VIEWS` at a level."""
        return curve_of(joined(self._matchings[self._group, name, view, level]))

    def average_precisions(self, view: str) -> NDArray[np.float64]:
        """Average precision of each class at each level, float64 [C, L]; NaN where there are no objects."""
        rows = [[self.curve(one.name, view, level).average_precision for level in self.levels] for one in self.classes]
        return np.array(rows, np.float64).reshape(-1, len(self.levels))


def _side(boxes: Boxes3D, levels: ArrayLike | None, counts: ArrayLike | None, groups: int) -> _Side:
    names = np.array([name.lower() for name in boxes.class_names], np.str_)
    first_levels = np.asarray(np.zeros(len(boxes)) if levels is None else levels, np.int64)
    if first_levels.shape != (len(boxes),):
        raise ValueError(f"levels must have one value a box, [{len(boxes)}], found {list(first_levels.shape)}")
    return _Side(boxes, names, first_levels, group_flags(counts, len(boxes), groups))


def _rows(boxes: Boxes3D) -> NDArray[np.float32]:
    """Boxes as `ops.box_iou` takes them, float32 [M, 7]."""
    return np.concatenate([boxes.centers, boxes.sizes, boxes.yaws[:, None]], axis=1).astype(np.float32)


def _overlaps(truth: Boxes3D, found: Boxes3D, view: str) -> NDArray[np.float64]:
    """Intersection over union of all pairs, float64 [M, N]."""
    return np.asarray(ops.box_iou(_rows(truth), _rows(found), three_d=view == "3d"), np.float64)


def _share_of_found(truth: Boxes3D, found: Boxes3D, overlaps: NDArray[np.float64], view: str) -> NDArray[np.float64]:
    """The share of every detection that lies in every true box, float64 [M, N], from their IoU.

    The IoU is exact to 1e-6, the share to that times how many times larger the true box is.
    """
    axes = VIEWS.index(view) + 2
    of_truth, of_found = (boxes.sizes[:, :axes].astype(np.float64).prod(axis=1) for boxes in (truth, found))
    common = overlaps / (1 + overlaps) * (of_truth[:, None] + of_found)
    return np.divide(common, of_found, out=np.zeros_like(common), where=of_found > 0)


def _scene(
    one: KittiClass, level: int, truth: _Side, found: _Side, overlaps: NDArray[np.float64], in_region: Flags
) -> Scene:
    """What a class at a level sees of a frame."""
    of_class = truth.names == one.name.lower()
    seen = of_class | np.isin(truth.names, [name.lower() for name in one.neighbours])
    # In the kit a detection that is too small may be taken whatever its class is.
    small, named = found.levels > level, found.names == one.name.lower()
    return Scene(
        overlaps=overlaps[seen],
        turns=(truth.boxes.yaws[seen, None] - found.boxes.yaws).astype(np.float64),
        counts=((of_class & (truth.levels <= level))[:, None] & truth.counts)[seen],
        scores=found.boxes.scores.astype(np.float64),
        eligible=named | small,
        small=small,
        false_alarm=(named & ~small & ~in_region)[:, None] & found.counts,
    )
