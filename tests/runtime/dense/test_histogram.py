"""Ranges chosen from histograms, against sorted values and against what information theory asks for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception.runtime.dense.histogram import BINS, Histogram


def collect(*parts: np.ndarray) -> Histogram:
    histogram = Histogram()
    for part in parts:
        histogram.add(part)
    return histogram


def rounding_error(values: np.ndarray, limit: float) -> float:
    """Mean squared error of int8 with this range."""
    scale = limit / 127
    return float(np.mean((np.clip(np.rint(values / scale), -127, 127) * scale - values) ** 2))


@settings(deadline=None)
@given(st.integers(0, 1000), st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=5), st.floats(1, 100))
def test_percentiles_are_those_of_the_sorted_values(seed: int, scales: list[float], percent: float) -> None:
    rng = np.random.default_rng(seed)
    parts = [rng.normal(scale=scale, size=(3, 100)).astype(np.float32) for scale in scales]
    histogram = collect(*parts)
    ordered = np.sort(np.abs(np.concatenate(parts)), axis=None)
    exact = next(value for number, value in enumerate(ordered, 1) if number >= ordered.size * percent / 100)
    assert exact <= histogram.percentile(percent) * (1 + 1e-6)
    assert histogram.percentile(percent) - exact <= 1.01 * histogram.limit / BINS


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(0, 3))
def test_values_are_counted_once_whatever_the_order(seed: int, growth: int) -> None:
    values = np.random.default_rng(seed).normal(size=400).astype(np.float32)
    values[200:] *= 10.0**growth
    histogram = collect(values[:200], values[200:])
    assert histogram.counts.sum() == 400
    assert np.abs(values).max() <= histogram.limit
    assert (
        abs(collect(values[200:], values[:200]).percentile(50) - histogram.percentile(50)) <= histogram.limit / BINS * 2
    )


def test_zeros_count_for_percentiles_only() -> None:
    values = np.float32([1, 2, 3, 4])
    zeros = np.zeros(996, np.float32)
    assert collect(zeros, values).percentile(99) < 0.01
    bulk = np.random.default_rng(0).normal(size=10_000).astype(np.float32)
    assert collect(zeros, bulk).entropy() == collect(bulk).entropy()


def test_nothing_but_zeros_has_no_range() -> None:
    histogram = collect(np.zeros(10, np.float32), np.empty(0, np.float32))
    assert (histogram.limit, histogram.percentile(99), histogram.entropy(), histogram.least_error()) == (0, 0, 0, 0)


@settings(deadline=None)
@given(st.integers(0, 1000), st.floats(0.3, 2), st.floats(0, 0.99))
def test_no_range_makes_a_smaller_error(seed: int, spread: float, constant: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.lognormal(sigma=spread, size=4000).astype(np.float32)
    values[: int(4000 * constant)] = 0.01  # as the empty part of a voxel grid
    histogram = collect(values)
    chosen = rounding_error(values, histogram.least_error())
    others = [rounding_error(values, histogram.limit * part) for part in np.linspace(1 / 16, 1, 31)]
    # Bins stand for their middles, which costs up to a quarter of the square of a bin's width.
    assert chosen <= min(others) * 1.05 + (histogram.limit / BINS) ** 2 / 4


def test_entropy_keeps_what_is_evenly_spread() -> None:
    values = np.random.default_rng(0).uniform(-2, 2, 100_000).astype(np.float32)
    assert collect(values).entropy() == pytest.approx(2, rel=0.02)


def test_entropy_cuts_off_lone_outliers() -> None:
    values = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
    outlying = np.append(values, np.float32([60, -80]))
    limit = collect(outlying).entropy()
    assert 2.5 < limit < 12
    assert rounding_error(values, limit) < rounding_error(values, 80) / 20


def test_half_precision_is_counted_as_it_is() -> None:
    assert collect(np.float16([1, -2])).limit == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        collect(np.float32([1, bad]))
