"""IoU of maps: worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception.evaluation.metrics.maps import THRESHOLDS, MapMetrics


def grid(*rows: list[float]) -> np.ndarray:
    """One class, one row of cells a list."""
    return np.array([rows])


def added(*frames: tuple[np.ndarray, np.ndarray], names: tuple[str, ...] = ("road",)) -> MapMetrics:
    metrics = MapMetrics(names)
    for truth, scores in frames:
        metrics.add(truth.astype(bool), scores)
    return metrics


def test_the_thresholds_are_those_of_bevfusion() -> None:
    np.testing.assert_allclose(THRESHOLDS, np.arange(0.35, 0.66, 0.05))


def test_each_class_has_its_best_threshold() -> None:
    # Three cells are road. From 0.35: 3 hits, 2 false; from 0.4: 3 and 1; from 0.5: 2 hits, 1 miss; from 0.65: 1, 2.
    truth, scores = grid([1, 1, 1, 0, 0, 0]), grid([0.9, 0.6, 0.45, 0.45, 0.36, 0.1])
    metrics = added((truth, scores))
    np.testing.assert_allclose(metrics.iou(), [[3 / 5, 3 / 4, 3 / 4, 2 / 3, 2 / 3, 2 / 3, 1 / 3]])
    assert metrics.best()["road"] == (pytest.approx(3 / 4), 0.4)
    assert metrics.mean_iou() == pytest.approx(3 / 4)


def test_cells_add_up_over_frames_before_they_are_divided() -> None:
    # 1 of 1 and 1 of 3 cells: 2 of 4, not the mean of 1 and 1/3.
    frames = (grid([1, 0, 0]), grid([0.9, 0, 0])), (grid([1, 1, 1]), grid([0.9, 0, 0]))
    metrics = added(*frames)
    assert metrics.mean_iou() == pytest.approx(2 / 4)
    assert metrics.frames == 2
    part = added(frames[1])
    part.merge(added(frames[0]))
    np.testing.assert_array_equal(part.iou(), metrics.iou())
    with pytest.raises(ValueError, match="cannot merge"):
        part.merge(MapMetrics(["walkway"]))


def test_classes_overlap_and_those_that_never_occur_are_left_out() -> None:
    names = ("road", "crossing", "stop line")
    truth = np.array([[[1, 1]], [[0, 1]], [[0, 0]]])
    scores = np.array([[[0.9, 0.9]], [[0.4, 0.9]], [[0.9, 0.0]]])
    metrics = added((truth, scores), names=names)
    best = metrics.best()
    assert (best["road"].iou, best["crossing"]) == (1, (1, 0.45))
    assert np.isnan(best["stop line"].iou)
    assert metrics.mean_iou() == 1
    assert np.isnan(MapMetrics(names).mean_iou())


@given(st.integers(0, 10_000))
def test_a_map_against_itself_is_perfect(seed: int) -> None:
    truth = np.random.default_rng(seed).random((2, 5, 5)) < 0.4
    truth[:, 0, 0] = True
    assert added((truth, truth.astype(np.float32)), names=("a", "b")).mean_iou() == 1


def test_maps_of_other_shapes_are_refused() -> None:
    for truth, scores in ((grid([1]), grid([1, 1])), (np.ones((2, 1, 1)), np.ones((2, 1, 1)))):
        with pytest.raises(ValueError, match=r"two maps \[1, H, W\]"):
            added((truth, scores))
