"""How large values get, collected over many arrays: what the ranges of int8 are chosen from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 2048
#: Positive values that int8 tells apart, zero included.
LEVELS = 128
# Ranges that are tried are this many bins apart: one part in 256 of the largest value.
CANDIDATES = range(LEVELS, BINS + 1, 8)
UNLIKELY = 1e-9


class Histogram:
    """Counts of absolute values in 2048 equal bins from 0 to `limit`, which grows with the values.

    Attributes:
        counts: int64 [2048].
        limit: upper edge of the last bin; 0 as long as every value was 0.
    """

    def __init__(self) -> None:
        self.counts = np.zeros(BINS, np.int64)
        self.limit = 0.0
        self._zeros = 0

    def add(self, values: NDArray[Any]) -> None:
        """Count the values of an array of any shape.

        Raises:
            ValueError: one of them is not finite.
        """
        magnitudes = np.abs(values, dtype=np.float32).reshape(-1)
        peak = float(magnitudes.max(initial=0.0))
        if not np.isfinite(peak):
            raise ValueError("values to calibrate with must be finite")
        if peak == 0:
            self._zeros += magnitudes.size
            return
        self.limit = self.limit or peak
        while peak > self.limit:  # twice the width: two bins become one
            self.counts = np.concatenate([self.counts.reshape(-1, 2).sum(1), np.zeros(BINS // 2, np.int64)])
            self.limit *= 2
        self.counts += np.histogram(magnitudes, BINS, (0.0, self.limit))[0]

    def percentile(self, percent: float) -> float:
        """Give the value below which so many percent of all absolute values are, up to the width of a bin."""
        cumulated = np.cumsum(self.counts) + self._zeros
        bins = int(np.searchsorted(cumulated, cumulated[-1] * percent / 100))
        return self._edge(min(bins + 1, BINS))

    def least_error(self) -> float:
        """Give the range with the least mean squared error when values are rounded to int8 and cut off beyond it."""
        centers = (np.arange(BINS) + 0.5) * self.limit / BINS

        def squared_error(bins: int) -> float:
            scale = self._edge(bins) / (LEVELS - 1)
            rounded = np.minimum(np.rint(centers / scale), LEVELS - 1) * scale
            return float(np.dot(self.counts, (rounded - centers) ** 2))

        return self._edge(min(CANDIDATES, key=squared_error)) if self.limit else 0.0

    def entropy(self) -> float:
        """Give the range that loses least information when values are rounded to int8 and cut off beyond it.

        Minimises the Kullback-Leibler divergence (Migacz, 8-bit inference with TensorRT, GTC 2017). Zeros, which a ReLU
        makes in masses and every range keeps, are left out. Values that are nearly all the same, as in the empty part
        of a voxel grid, mislead it: to keep their bin apart from its neighbours it cuts off the rare large values.
        """
        counts = self.counts.astype(np.float64)
        counts[0] = 0
        if not counts.any():
            return self.limit
        return self._edge(min(CANDIDATES, key=lambda bins: _divergence(counts, bins)))

    def _edge(self, bins: int) -> float:
        return self.limit * bins / BINS


def _divergence(counts: NDArray[np.float64], bins: int) -> float:
    """Kullback-Leibler divergence of the first bins, with all beyond them cut off to the last, from their rounding."""
    inside = counts[:bins]
    wanted = inside.copy()
    wanted[-1] += counts[bins:].sum()
    edges = np.linspace(0, bins, LEVELS + 1).astype(np.int64)[:-1]
    filled = np.add.reduceat((inside > 0).astype(np.float64), edges)
    level_means = np.divide(np.add.reduceat(inside, edges), filled, out=np.zeros(LEVELS), where=filled > 0)
    sizes = np.diff(np.append(edges, bins))
    rounded = np.where(inside > 0, np.repeat(level_means, sizes), 0.0)
    used = wanted > 0
    p, q = wanted[used] / wanted.sum(), rounded[used] / max(rounded.sum(), 1.0)
    # Values may be cut off to a bin where none was: not impossible, as the formula has it, but very unlikely.
    return float(np.sum(p * np.log(p / np.maximum(q, UNLIKELY))))
