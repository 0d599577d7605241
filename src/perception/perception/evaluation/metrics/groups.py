"""Groups in which boxes count or not, such as those of bands: metrics see every box once, and have figures of each."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def group_flags(counts: ArrayLike | None, boxes: int, groups: int) -> NDArray[np.bool_]:
    """Give the groups in which each box counts: bool [M, G].

    Args:
        counts: [M], the same in all groups, or [M, G]; every box counts everywhere by default.
        boxes: M.
        groups: G.

    Raises:
        ValueError: there is not one flag for each box and group.
    """
    flags = np.asarray(np.ones(boxes) if counts is None else counts, np.bool_)
    flags = flags[:, None] if flags.ndim == 1 else flags
    if flags.shape not in ((boxes, 1), (boxes, groups)):
        raise ValueError(f"expected one flag for each of {boxes} boxes, in {groups} groups, found {list(flags.shape)}")
    return np.broadcast_to(flags, (boxes, groups))
