"""Colours of what has no class."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

#: Of the first cloud's values, between these percentiles colours differ: a few birds or a pit would take them all.
PERCENTILES = (2, 98)


class ColorScale:
    """Colours numbers from dark blue (low) over green to red (high), in the range of the first cloud.

    The range stays: if every frame had its own, the same height would flicker through several colours.
    """

    def __init__(self) -> None:
        self._range: tuple[float, float] | None = None

    def colors(self, values: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Give uint8 [N, 3] for [N] finite values."""
        if not len(values):
            return np.empty((0, 3), np.uint8)
        if self._range is None:
            low, high = np.percentile(values, PERCENTILES)
            self._range = float(low), max(float(high), float(low) + 1e-6)
        low, high = self._range
        return _turbo()[np.clip((values - low) / (high - low) * 255, 0, 255).astype(np.uint8)]


@lru_cache(maxsize=1)
def _turbo() -> NDArray[np.uint8]:
    """256 colours of Mikhailov's Turbo (2019), uint8 [256, 3]."""
    from matplotlib import colormaps

    return (colormaps["turbo"](np.arange(256))[:, :3] * 255).astype(np.uint8)
