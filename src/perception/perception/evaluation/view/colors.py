"""Colours of what has no class."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

#: Of the first cloud's values, between these percentiles colours differ: a few birds or a pit would take them all.
PERCENTILES = (2, 98)
#: RGB at equal distances from the lowest to the highest value.
ANCHORS = ((45, 60, 190), (30, 165, 230), (70, 215, 120), (235, 210, 60), (225, 50, 40))


class ColorScale:
    """Colours numbers from blue (low) over green to red (high), in the range of the first cloud.

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
        return _rainbow()[np.clip((values - low) / (high - low) * 255, 0, 255).astype(np.uint8)]


@lru_cache(maxsize=1)
def _rainbow() -> NDArray[np.uint8]:
    """256 colours through ANCHORS, uint8 [256, 3]."""
    places = np.linspace(0, 255, len(ANCHORS))
    channels = [np.interp(np.arange(256), places, channel) for channel in np.array(ANCHORS).T]
    return np.stack(channels, axis=1).astype(np.uint8)
