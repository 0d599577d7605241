"""Which of the boxes that a network finds are published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from perception.data.boxes import chosen
from perception.types import Boxes3D


@dataclass(frozen=True)
class BoxFilter:
    """What a box must have.

    Attributes:
        classes: names of the classes that pass; empty: all.
        min_score: the lowest score that passes.
        class_min_scores: the same for single classes, instead.
        max_range_m: how far its centre may be from the sensor, seen from above; 0: any distance.
    """

    classes: tuple[str, ...] = ()
    min_score: float = 0.0
    class_min_scores: Mapping[str, float] = field(default_factory=dict)
    max_range_m: float = 0.0

    def apply(self, boxes: Boxes3D) -> Boxes3D:
        """Keep those that pass."""
        lowest = np.array([self.class_min_scores.get(name, self.min_score) for name in boxes.class_names], np.float32)
        passes = boxes.scores >= lowest
        if self.classes:
            passes &= np.array([name in self.classes for name in boxes.class_names], bool)
        if self.max_range_m > 0:
            passes &= np.hypot(boxes.centers[:, 0], boxes.centers[:, 1]) <= self.max_range_m
        return chosen(boxes, passes)
