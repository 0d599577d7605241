"""Cutting a sweep: every point is labelled once, in a block that shows what surrounds it."""

from __future__ import annotations

import numpy as np
import pytest

from perception.bundle.format import BlockSettings
from perception.runtime.blocks import BLOCK_FEATURES, block_features, cut_into_blocks

SETTINGS = BlockSettings(size_m=10, margin_m=1, height_m=(-3, 5), points=400)


def sweep(count: int = 5000, extent_m: float = 33.0) -> np.ndarray:
    rng = np.random.default_rng(count)
    xyz = np.column_stack([rng.uniform(-extent_m, extent_m, (count, 2)), rng.uniform(-3, 5, count)])
    return np.column_stack([xyz, rng.random(count)]).astype(np.float32)


def test_every_point_is_inside_exactly_one_block() -> None:
    points = sweep()
    labelled = np.concatenate([block.rows[block.inside] for block in cut_into_blocks(points, SETTINGS)])
    assert sorted(labelled) == list(range(len(points)))


def test_blocks_show_their_margin_and_no_more() -> None:
    points = sweep()
    settings = SETTINGS.model_copy(update={"points": 10**6})
    for block in cut_into_blocks(points, settings):
        offsets_m = np.abs(points[:, :2] - block.center_m).max(1)
        assert set(block.rows) == set(np.flatnonzero(offsets_m <= 6))
        assert (offsets_m[block.rows[block.inside]] <= 5).all()
        assert (offsets_m[block.rows[~block.inside]] >= 5).all()


@pytest.mark.parametrize("count", [400, 401, 2001])
def test_full_squares_are_dealt_evenly(count: int) -> None:
    points = sweep(count, 4.0) + np.array([5, 5, 0, 0], np.float32)  # all in the square from 0 to 10 m
    blocks = list(cut_into_blocks(points, SETTINGS))
    sizes = [len(block.rows) for block in blocks]
    assert len(blocks) == -(-count // 400)
    assert max(sizes) - min(sizes) <= 1
    assert all(block.inside.all() for block in blocks)
    again = list(cut_into_blocks(points, SETTINGS))
    assert all((a.rows == b.rows).all() for a, b in zip(blocks, again, strict=True))


def test_points_on_edges_and_far_away() -> None:
    points = np.zeros((6, 4), np.float32)
    points[:, 0] = [0, 10, -10, 20, 9.9999999, 1e6]
    labelled = np.concatenate([block.rows[block.inside] for block in cut_into_blocks(points, SETTINGS)])
    assert sorted(labelled) == list(range(6))


def test_no_points_no_blocks() -> None:
    assert list(cut_into_blocks(np.empty((0, 4), np.float32), SETTINGS)) == []


def test_what_a_block_says_about_its_points() -> None:
    points = np.array([[21, 3, -1, 0.5], [19, 5, 1, 0.25], [27, 5, 9, 0.0]], np.float32)
    features = block_features(points, np.array([20.0, 5.0]), SETTINGS)
    assert features.shape == (BLOCK_FEATURES, 3)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features[0], [1 / 6, -1 / 6, 1], rtol=1e-5)  # the last lies beyond the margin
    np.testing.assert_allclose(features[1], [-2 / 6, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(features[2], [-0.5, 0, 1])
    np.testing.assert_allclose(features[3], [0.5, 0.25, 0])
    np.testing.assert_allclose(features[4], np.hypot(points[:, 0], points[:, 1]) / 50, rtol=1e-5)
    np.testing.assert_allclose(features[5], [0, 0.5, 2])
    np.testing.assert_allclose(features[6], 1)


def test_features_do_not_depend_on_where_the_block_lies_but_for_the_distance() -> None:
    points, shift = sweep(50, 5.0), np.array([40, -30, 0, 0], np.float32)
    here = block_features(points, np.zeros(2), SETTINGS)
    there = block_features(points + shift, shift[:2].astype(np.float64), SETTINGS)
    np.testing.assert_allclose(np.delete(there, 4, 0), np.delete(here, 4, 0), atol=1e-5)
