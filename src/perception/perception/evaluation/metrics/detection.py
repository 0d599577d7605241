"""How well objects were detected, as the nuScenes detection task defines it: matching by the distance of centres.

Source: Caesar et al., "nuScenes: A multimodal dataset for autonomous driving", CVPR 2020, section 3.1. A detection
matches the nearest object of its class and frame that no better one has taken, if it is near enough; curves are read at
101 levels of recall, and what lies below 10 % recall or precision counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from perception.evaluation.metrics.detection_curves import ERRORS, Curve, Flags, Floats, Objects, joined, match_curve
from perception.types import Boxes3D

#: In metres: what still counts as found. Precision is averaged over all of them, errors are those at the third.
DISTANCES_M = (0.5, 1.0, 2.0, 4.0)
ERROR_DISTANCE_M = 2.0
#: Objects that look the same from the front and from behind.
HALF_TURN = ("barrier",)
#: Errors that mean nothing for a class, and that no mean holds.
MEANINGLESS = {"traffic_cone": ("orientation", "velocity"), "barrier": ("velocity",)}
#: The fifth error of nuScenes: whether an object moves, stands or is parked. No network here says so.
ATTRIBUTE = "attribute"
#: How much the mean average precision weighs in the detection score; each of the five errors weighs 1.
PRECISION_WEIGHT = 5


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
        self._truth: dict[str, list[Objects]] = {name: [] for name in class_names}
        self._found: dict[str, list[Objects]] = {name: [] for name in class_names}
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
            truth_counts: bool [M], False for objects that need not be found; what takes one is left out. All count by
                default.
            found_counts: bool [N], False for detections that are left out unless they take an object that counts.
        """
        for boxes, counts, kept in ((truth, truth_counts, self._truth), (found, found_counts, self._found)):
            flags = np.asarray(np.ones(len(boxes)) if counts is None else counts, np.bool_)
            if flags.shape != (len(boxes),):
                raise ValueError(f"expected one flag for each of {len(boxes)} boxes, found {list(flags.shape)}")
            for name in self.class_names:
                kept[name].append(_objects(boxes, name, self._range_m[name], self.frames, flags))
        self.frames += 1

    def merge(self, other: DetectionMetrics) -> None:
        """Add everything that metrics of the same classes and ranges have seen."""
        if other._range_m != self._range_m:
            raise ValueError(f"cannot merge metrics of {other._range_m} into those of {self._range_m}")
        for own, others in ((self._truth, other._truth), (self._found, other._found)):
            for name, parts in others.items():
                own[name] += [part._replace(frames=part.frames + self.frames) for part in parts]
        self.frames += other.frames

    def objects(self, name: str) -> int:
        """Count the objects of a class that must be found."""
        return sum(int(part.counts.sum()) for part in self._truth[name])

    def curve(self, name: str, distance_m: float) -> Curve:
        """Match a class's detections with its objects at a distance."""
        return match_curve(joined(self._truth[name]), joined(self._found[name]), distance_m, name in HALF_TURN)

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

    def mean_errors(self) -> dict[str, float]:
        """Mean of each error over the classes that have objects and for which it means something: nuScenes' five.

        NaN where no class is left, and always for `ATTRIBUTE`, which is not available.
        """
        of_class = self.errors()
        means = {}
        for column, kind in enumerate(ERRORS):
            values = [row[column] for name, row in of_class.items() if kind not in MEANINGLESS.get(name, ())]
            means[kind] = float(np.mean(values)) if values else float("nan")
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


def _objects(boxes: Boxes3D, name: str, range_m: float, frame: int, counts: Flags) -> Objects:
    centers = boxes.centers.astype(np.float64)
    near = np.hypot(centers[:, 0], centers[:, 1]) < range_m
    rows = np.flatnonzero(near & np.array([one == name for one in boxes.class_names], bool))
    columns = (boxes.sizes, boxes.yaws, boxes.velocities, boxes.scores)
    sizes, yaws, velocities, scores = (column[rows].astype(np.float64) for column in columns)
    return Objects(centers[rows], sizes, yaws, velocities, scores, np.full(len(rows), frame), counts[rows])
