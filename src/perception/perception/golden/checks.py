"""Comparing outputs with those of the official implementation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
#: The tolerance of maps, indices and coordinates.
EXACT = 0.0


@dataclass(frozen=True)
class Check:
    """One output beside the official one.

    Attributes:
        name: what was computed.
        actual: what it is.
        expected: what it shall be.
        tolerance: the error that it may have.
        absolute: whether the error is the largest difference, not the relative error of the whole.
    """

    name: str
    actual: Array
    expected: Array
    tolerance: float
    absolute: bool = False

    @cached_property
    def error(self) -> float:
        """How far off it is."""
        return (largest_difference if self.absolute else relative_error)(self.actual, self.expected)

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance."""
        return self.error <= self.tolerance


def relative_error(actual: Array, expected: Array) -> float:
    """``|actual - expected| / |expected|`` in the Frobenius norm; another shape, a NaN or an infinity is infinite."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    if actual.shape != expected.shape or not np.isfinite(actual).all():
        return float("inf")
    return float(np.linalg.norm(actual - expected) / max(float(np.linalg.norm(expected)), 1e-30))


def largest_difference(actual: Array, expected: Array) -> float:
    """``max |actual - expected|``; another shape, a NaN or an infinity is infinite."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    if actual.shape != expected.shape or not np.isfinite(actual).all():
        return float("inf")
    return float(np.abs(actual - expected).max(initial=0))
