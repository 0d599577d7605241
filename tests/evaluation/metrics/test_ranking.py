"""Kendall's tau against its definition."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception.evaluation.metrics.ranking import kendall_tau


def test_known_values() -> None:
    assert kendall_tau([1, 2, 3, 4], [10, 20, 30, 40]) == 1
    assert kendall_tau([1, 2, 3, 4], [4, 3, 2, 1]) == -1
    assert kendall_tau([1, 2, 3, 4], [1, 2, 4, 3]) == pytest.approx(4 / 6)
    # Two pairs are tied in one of the figures: 4 of 6 pairs agree, and the product of 5 and 5 untied ones is 25.
    assert kendall_tau([1, 1, 2, 3], [1, 2, 3, 3]) == pytest.approx(4 / 5)
    assert math.isnan(kendall_tau([1, 1, 1], [1, 2, 3]))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=12))
def test_it_counts_pairs(values: list[tuple[int, int]]) -> None:
    pairs = list(itertools.combinations(values, 2))
    agree = sum((a[0] - b[0]) * (a[1] - b[1]) > 0 for a, b in pairs)
    disagree = sum((a[0] - b[0]) * (a[1] - b[1]) < 0 for a, b in pairs)
    untied = [sum(a[side] != b[side] for a, b in pairs) for side in (0, 1)]
    tau = kendall_tau(*zip(*values, strict=True))
    if all(untied):
        assert tau == pytest.approx((agree - disagree) / math.sqrt(untied[0] * untied[1]))
    else:
        assert math.isnan(tau)


def test_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="3 and 2 values"):
        kendall_tau([1, 2, 3], [1, 2])
