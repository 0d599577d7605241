"""Boxes and velocities as rerun draws them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.classes import object_colors
from perception.evaluation.report.detection_pictures import TRUTH_COLOR, readable
from perception.types import Boxes3D

#: Names of so many boxes still leave the boxes to be seen.
MOST_LABELS = 12
#: An arrow ends where the object will be after this time; slower objects have none.
ARROW_S, STILL_M_S = 1.0, 0.3


def box_shapes(boxes: Boxes3D, is_truth: bool) -> Any:
    """Make rerun.Boxes3D: true ones as white edges, others in their classes' colours with class and score."""
    import rerun

    colors = [TRUTH_COLOR if is_truth else readable(color) for color in object_colors(boxes.class_names)]
    scored = zip(boxes.class_names, boxes.scores, strict=True)
    modes = rerun.components.FillMode
    return rerun.Boxes3D(
        centers=boxes.centers,
        half_sizes=boxes.sizes / 2,
        quaternions=_quaternions(boxes.yaws),
        colors=colors,
        labels=boxes.class_names if is_truth else [f"{name} {score:.2f}" for name, score in scored],
        # All are shown under the mouse; over each other they would hide what they name.
        show_labels=not is_truth and len(boxes) <= MOST_LABELS,
        fill_mode=modes.MajorWireframe if is_truth else modes.TransparentFillMajorWireframe,
    )


def arrow_shapes(points: NDArray[np.float32], velocities: NDArray[np.float32]) -> Any:
    """Make rerun.Arrows3D of velocities [N, 2] in m/s at points [N, 3]; none where they are unknown or small."""
    import rerun

    moving = np.hypot(*velocities.T) > STILL_M_S
    vectors = np.pad(velocities[moving] * ARROW_S, ((0, 0), (0, 1)))
    return rerun.Arrows3D(origins=points[moving], vectors=vectors, colors=[TRUTH_COLOR])


def _quaternions(yaws: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rotations about +z as x, y, z, w: float32 [M, 4]."""
    quaternions = np.zeros((len(yaws), 4), np.float32)
    quaternions[:, 2], quaternions[:, 3] = np.sin(yaws / 2), np.cos(yaws / 2)
    return quaternions
