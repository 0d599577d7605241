"""Frames drawn in blocks, and the intervals that come of it."""

from __future__ import annotations

import numpy as np
import pytest

from perception.evaluation.compare.resampling import block_length, draw_weights, interval


def test_each_bag_keeps_its_length() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        weights = draw_weights([40, 7, 101], 20, random)
        assert [int(part.sum()) for part in np.split(weights, [40, 47])] == [40, 7, 101]


def test_what_is_drawn_is_blocks() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        weights = draw_weights([100], 20, random)
        # Five blocks begin and end somewhere; single frames would begin and end at most places.
        assert np.count_nonzero(np.diff(weights)) <= 10
        assert not (weights == 1).all() or (weights[::20] == 1).all()


def test_every_frame_has_its_chance() -> None:
    random = np.random.default_rng(0)
    drawn = sum(draw_weights([50], 10, random) for _ in range(2000))
    # Frames nearer to an end than a block's length are in fewer blocks: 1 of 41 for the very first one, then 2, 3 ...
    blocks = np.minimum(np.minimum(np.arange(1, 51), np.arange(50, 0, -1)), 10)
    np.testing.assert_allclose(drawn / 2000, 5 * blocks / 41, rtol=0.15, atol=0.05)


@pytest.mark.parametrize(("frames", "length"), [(1, 1), (4, 1), (50, 10), (99, 19), (100, 20), (5000, 20)])
def test_short_bags_have_short_blocks(frames: int, length: int) -> None:
    assert block_length(frames, 20) == length


def test_nothing_is_drawn_from_nothing() -> None:
    assert len(draw_weights([], 20, np.random.default_rng(0))) == 0


def test_an_interval_leaves_a_twentieth_out() -> None:
    assert interval(np.arange(1001.0)) == (25.0, 975.0)
    assert interval([1.0, np.nan, 1.0]) == (1.0, 1.0)
    assert interval([np.nan]) is None


def wandering(random: np.random.Generator, count: int, memory: float) -> np.ndarray:
    """Noise around 0 of which each value is like the one before (autoregressive), with a variance of 1."""
    values = [random.normal()]
    for step in random.normal(0, np.sqrt(1 - memory**2), count - 1):
        values.append(memory * values[-1] + step)
    return np.array(values)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Neighbours are alike, which frames drawn one by one would not notice."""
    random, frames, drives = np.random.default_rng(5), 600, 300
    drawn = {block: np.array([draw_weights([frames], block, random) for _ in range(400)]) for block in (1, 20)}
    held = dict.fromkeys(drawn, 0)
    for _ in range(drives):
        values = wandering(random, frames, memory=0.6)
        for block, weights in drawn.items():
            low, high = interval(weights @ values / frames)
            held[block] += low <= 0 <= high
    assert 0.87 <= held[20] / drives <= 0.98
    assert held[1] / drives < 0.75
