"""The fixed transforms of a bag's /tf_static."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.data.bag_messages import decode_transforms
from perception.data.bag_types import BagError
from perception.data.poses import inverse


class StaticTree:
    """Where the frames of a vehicle are on one another.

    A calibration may change within a bag (KITTI's frames come from several days): a transform holds from its stamp on,
    the first one also before.
    """

    def __init__(self) -> None:
        self._history: dict[str, list[tuple[int, str, NDArray[np.float64]]]] = {}

    def add(self, message: Any) -> None:
        """Take a message of /tf_static."""
        for stamp_ns, parent, child, parent_from_child in decode_transforms(message):
            history = self._history.setdefault(child, [])
            if not history or history[-1][1] != parent or not np.array_equal(history[-1][2], parent_from_child):
                history.append((stamp_ns, parent, parent_from_child))
                history.sort(key=lambda entry: entry[0])

    def target_from_source(self, target: str, source: str, stamp_ns: int) -> NDArray[np.float64]:
        """Transform float64 [4, 4] between two frames through the frame above both.

        Raises:
            BagError: nothing connects them.
        """
        above_target = self._chain(target, stamp_ns)
        above_source = self._chain(source, stamp_ns)
        common = next((frame for frame in above_source if frame in above_target), None)
        if common is None:
            raise BagError(
                f"/tf_static does not say where {source} is on {target}; "
                f"name {source} as the base frame if it is the vehicle's own"
            )
        return inverse(above_target[common]) @ above_source[common] if common != target else above_source[common]

    def _chain(self, frame: str, stamp_ns: int) -> dict[str, NDArray[np.float64]]:
        """The frame and all above it: ancestor -> ancestor_from_frame."""
        chain = {frame: np.eye(4)}
        while frame in self._history:
            history = self._history[frame]
            index = bisect_right(history, stamp_ns, key=lambda entry: entry[0])
            _, parent, parent_from_child = history[max(0, index - 1)]
            if parent in chain:
                raise BagError(f"/tf_static goes in a circle through {parent}")
            chain[parent] = parent_from_child @ chain[frame]
            frame = parent
        return chain
