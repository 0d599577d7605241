"""Which objects a detector must find."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pydantic
from numpy.typing import NDArray

from perception.configuration import Settings
from perception.evaluation.records import BoxesRecord


class DetectionCriteria(Settings):
    """What counts.

    Attributes:
        range_m: objects and detections farther from the sensor, seen from above, are left out.
        least_points: objects that show fewer LiDAR points need not be found; finding one is no mistake either.
        shown_score: detections that score less are left out of pictures, and of a frame's quality.
    """

    range_m: Annotated[float, pydantic.Field(gt=0)] = 50.0
    least_points: Annotated[int, pydantic.Field(ge=0)] = 5
    shown_score: Annotated[float, pydantic.Field(ge=0, le=1)] = 0.3

    def count(self, truth: BoxesRecord) -> NDArray[np.bool_]:
        """Tell which true objects must be found, as far as their points go: bool [M]."""
        return np.array(truth.points, np.int64) >= self.least_points
