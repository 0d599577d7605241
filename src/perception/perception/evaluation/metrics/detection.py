"""How well objects were detected, as the nuScenes detection task defines it: matching by the distance of centres.

Source: Caesar et al., "nuScenes: A multimodal dataset for autonomous driving", CVPR 2020, section 3.1. A detection
matches the nearest object of its class and frame that no better one has taken, if it is near enough; curves are read at
101 levels of recall, and what lies below 10 % recall or precision counts for nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perception.evaluation.metrics.detection_curves import Curve, Flags, Floats, curve_of, error_curves, mean_errors
from perception.evaluation.metrics.detection_matching import (
    DISTANCES_M,
    ERROR_COLUMN,
    ERROR_DISTANCE_M,
    ERRORS,
    MOST_GROUPS,
    Matches,
    Side,
    joined,
    match,
)
from perception.evaluation.metrics.groups import group_flags
from perception.types import Boxes3D

#: Errors that mean nothing for a class, and that no mean holds.
MEANINGLESS = {"traffic_cone": ("orientation", "velocity"), "barrier": ("velocity",)}
#: The fifth error of nuScenes: whether an object moves, stands or is parked. No network here says so.
ATTRIBUTE = "attribute"
#: How much the mean average precision weighs in the detection score; each of the five errors weighs 1.
PRECISION_WEIGHT = 5


class DetectionMetrics:
    """Detections and objects of as many frames as are added.

    Boxes may count in some groups and not in others, such as those of bands of distance; figures are of one group, the
    first unless another is asked for by `group`. Frames are matched once, and a detection takes 20 bytes.
    """

    def __init__(
        self, class_names: Sequence[str], range_m: float | Mapping[str, float] = 50.0, groups: int = 1
    ) -> None:
        """Start with no frames.

        Args:
            class_names: what is told apart; boxes of other names are left out.
            range_m: how far centres may be from the origin, seen from above; one number, or one for each class.
            groups: how many there are, at most 15.
        """
        if not 1 <= groups <= MOST_GROUPS:
            raise ValueError(f"expected 1 to {MOST_GROUPS} groups, found {groups}")
        self.class_names = tuple(class_names)
        ranges = range_m if isinstance(range_m, Mapping) else dict.fromkeys(class_names, range_m)
        self._range_m = {name: float(ranges[name]) for name in class_names}
        self._group = 0
        self._objects = np.zeros((len(self.class_names), groups), np.int64)
        self._parts: list[Matches] = []
        self.frames = 0

    def add(
        self,
        truth: Boxes3D,
        found: Boxes3D,
        *,
        truth_counts: ArrayLike | None = None,
        found_counts: ArrayLike | None = None,
    ) -> None:
        """Add one frame; both in the same coordinates, the vehicle at the origin.

        Args:
            truth: M objects.
            found: N detections.
            truth_counts: bool [M] or [M, groups], False for objects that need not be found; what takes one is left out.
                All count by default.
            found_counts: bool [N] or [N, groups], False for detections that are left out unless they take an object
                that counts.
        """
        objects, flags = self._side(truth, truth_counts)
        detections, _ = self._side(found, found_counts)
        np.add.at(self._objects, objects.classes[objects.classes >= 0], flags[objects.classes >= 0])
        if len(found):
            self._parts.append(match(objects, detections, self.class_names))
        self.frames += 1

    def merge(self, other: DetectionMetrics) -> None:
        """Add everything that metrics of the same classes, ranges and groups have seen."""
        if other._range_m != self._range_m or other._objects.shape != self._objects.shape:
            raise ValueError(f"cannot merge metrics of {other._range_m} into those of {self._range_m}")
        self._parts += other._parts
        self._objects += other._objects
        self.frames += other.frames

    def group(self, number: int) -> DetectionMetrics:
        """Give the same metrics with the figures of another group."""
        view = copy.copy(self)
        view._group = range(self._objects.shape[1])[number]
        return view

    def objects(self, name: str) -> int:
        """Count the objects of a class that must be found."""
        return int(self._objects[self.class_names.index(name), self._group])

    def found(self, name: str) -> int:
        """Count the detections of a class that count."""
        return int(((self._of_class(name).counts & self._bit) > 0).sum())

    def curve(self, name: str, distance_m: float) -> Curve:
        """Read precision and score of a class at one of `DISTANCES_M`."""
        of_class, hits, kept = self._counted(name, distance_m)
        return curve_of(of_class.scores[kept], hits[kept], self.objects(name))

    def error_curves(self, name: str) -> Floats:
        """Mean of each error over the matches within 2 m up to each level of recall: float64 [4, 101]."""
        of_class, hits, _ = self._counted(name, ERROR_DISTANCE_M)
        errors = of_class.errors[hits[of_class.taken[:, ERROR_COLUMN] > 0]]
        return error_curves(self.curve(name, ERROR_DISTANCE_M), of_class.scores[hits], errors)

    def f1_score(self, distance_m: float = ERROR_DISTANCE_M) -> float:
        """Harmonic mean of precision and recall of all detections together; 1 where there was and is nothing."""
        counted = [self._counted(name, distance_m) for name in self.class_names]
        hits, kept = sum(int(one.sum()) for _, one, _ in counted), sum(int(one.sum()) for _, _, one in counted)
        objects = int(self._objects[:, self._group].sum())
        return 2 * hits / (kept + objects) if kept + objects else 1.0

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
        """Errors of the matches of each class with objects, float64 [4] in the order of `ERRORS`; NaN: not known."""
        return {
            name: mean_errors(self.curve(name, ERROR_DISTANCE_M), self.error_curves(name))
            for name in self.class_names
            if self.objects(name)
        }

    def mean_errors(self) -> dict[str, float]:
        """Mean of each error over the classes that have objects and for which it means something: nuScenes' five.

        NaN where no class is left or none is known, and always for `ATTRIBUTE`, which is not available. Where some are
        known, an error that is not is 1, as in nuScenes.
        """
        of_class = self.errors()
        means = {}
        for column, kind in enumerate(ERRORS):
            values = np.array([row[column] for name, row in of_class.items() if kind not in MEANINGLESS.get(name, ())])
            known = not np.isnan(values).all()
            means[kind] = float(np.nan_to_num(values, nan=1.0).mean()) if known else float("nan")
        return means | {ATTRIBUTE: float("nan")}

    def detection_score(self) -> float:
        """The nuScenes detection score (NDS): mean average precision and the five errors, 0 to 1.

        An error that is not known counts as 1, so without attributes the score is at most 0.9, as in nuScenes' own
        evaluation of detections that name none. That averages over its ten classes whether they occur or not; this
        over those that have objects, and is NaN where none has any.
        """
        kept = [1 - min(1.0, error) for error in self.mean_errors().values() if not np.isnan(error)]
        weights = PRECISION_WEIGHT + len(ERRORS) + 1
        return (PRECISION_WEIGHT * self.mean_average_precision() + sum(kept)) / weights

    @property
    def _bit(self) -> int:
        return 1 << self._group

    def _side(self, boxes: Boxes3D, counts: ArrayLike | None) -> tuple[Side, Flags]:
        groups = self._objects.shape[1]
        flags = group_flags(counts, len(boxes), groups)
        bits = (flags << np.arange(groups)).sum(axis=1).astype(np.uint16)
        return Side(boxes, self._classes_of(boxes), bits), flags

    def _classes_of(self, boxes: Boxes3D) -> NDArray[np.int64]:
        """The class of each box, int64 [M]; -1 of those that are too far away or of another name."""
        numbers = {name: number for number, name in enumerate(self.class_names)}
        classes = np.array([numbers.get(name, -1) for name in boxes.class_names], np.int64)
        centers = boxes.centers.astype(np.float64)
        limits_m = np.array([*self._range_m.values(), 0.0])[classes]
        near: Flags = np.hypot(centers[:, 0], centers[:, 1]) < limits_m
        return np.where(near, classes, -1)

    def _whole(self) -> Matches:
        """All detections, in the order in which they were added."""
        self._parts[:] = [joined(self._parts)]
        return self._parts[0]

    def _of_class(self, name: str) -> Matches:
        """Everything of one class."""
        whole = self._whole()
        chosen = whole.classes == self.class_names.index(name)
        with_errors = whole.taken[:, ERROR_COLUMN] > 0
        rows = {name: column[chosen] for name, column in whole._asdict().items() if name != "errors"}
        return Matches(**rows, errors=whole.errors[chosen[with_errors]])

    def _counted(self, name: str, distance_m: float) -> tuple[Matches, Flags, Flags]:
        """Everything of one class; which of it are hits at a distance, and which hits or false alarms."""
        of_class = self._of_class(name)
        taken = of_class.taken[:, DISTANCES_M.index(distance_m)]
        hits = (taken & self._bit) > 0
        return of_class, hits, hits | ((taken == 0) & ((of_class.counts & self._bit) > 0))
