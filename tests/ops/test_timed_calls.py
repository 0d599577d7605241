"""Timing of the library's calls, which costs nothing when it is off."""

from __future__ import annotations

import numpy as np
import pytest

from perception import ops
from perception.ops import binding

COORDS = np.array([[0, 1, 2, 3], [0, 4, 5, 6]], np.int32)


def test_each_call_is_timed_once() -> None:
    with ops.timed_calls() as seconds:
        ops.downsample(COORDS)
        first = len(seconds)
        ops.submanifold_table(COORDS)
    assert first >= 1
    assert len(seconds) == first + 1
    assert all(one > 0 for one in seconds)


def test_results_and_errors_stay_the_same() -> None:
    expected = ops.submanifold_table(COORDS)
    with ops.timed_calls():
        assert np.array_equal(ops.submanifold_table(COORDS), expected)
        with pytest.raises(ValueError, match="the same voxel"):
            ops.submanifold_table(COORDS[[0, 0]])


def test_nothing_is_left_afterwards() -> None:
    before = vars(binding).copy()
    with pytest.raises(RuntimeError), ops.timed_calls() as seconds:
        raise RuntimeError
    ops.submanifold_table(COORDS)
    assert seconds == []
    assert vars(binding) == before
