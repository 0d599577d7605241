"""How many results of two executions of a network are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.types import Boxes3D

#: Of what boxes are made of: metres, radians, metres a second, scores; and as a share, which far sizes need.
BOX_TOLERANCE = 0.01


def agreement(ours: Any, theirs: Any) -> tuple[int, int]:
    """Count what agrees, and everything.

    Args:
        ours: what a use of a network gives: class ids and probabilities of points, or boxes.
        theirs: the same from another execution.
    """
    if isinstance(theirs, Boxes3D):
        close = _close(ours, theirs)
        return int(min(close.any(axis=0).sum(), close.any(axis=1).sum())), max(close.shape)
    return int((ours[0] == theirs[0]).sum()), len(theirs[0])


def _close(ours: Boxes3D, theirs: Boxes3D) -> NDArray[np.bool_]:
    """Which boxes are the same: bool [M, N]."""
    columns = [np.column_stack([one.centers, one.sizes, one.velocities, one.scores]) for one in (ours, theirs)]
    close = np.isclose(columns[0][:, None], columns[1], BOX_TOLERANCE, BOX_TOLERANCE, equal_nan=True).all(axis=2)
    turn = ours.yaws[:, None] - theirs.yaws
    same_class = np.array(ours.class_names, np.str_)[:, None] == np.array(theirs.class_names, np.str_)
    result: NDArray[np.bool_] = close & same_class & (np.abs(np.sin(turn / 2)) <= BOX_TOLERANCE / 2)
    return result
