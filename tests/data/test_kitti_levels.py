"""KITTI's levels of difficulty, at their limits."""

from __future__ import annotations

import numpy as np
import pytest

from perception.data.kitti_levels import levels_from, levels_in_image, levels_of_heights, levels_up_to


@pytest.mark.parametrize(
    ("height_px", "occlusion", "truncation", "level"),
    [
        (40, 0, 0.15, 0),
        (39.9, 0, 0.15, 1),
        (40, 1, 0.0, 1),
        (40, 0, 0.16, 1),
        (25, 1, 0.30, 1),
        (25, 2, 0.0, 2),
        (25, 0, 0.31, 2),
        (25, 2, 0.50, 2),
        (24.9, 0, 0.0, 3),
        (100, 3, 0.0, 3),
        (100, 0, 0.51, 3),
    ],
)
def test_a_level_needs_height_sight_and_no_more_cut_off(
    height_px: float, occlusion: int, truncation: float, level: int
) -> None:
    for kind in (np.float64, np.float32):
        given = np.array([height_px], kind), np.array([occlusion]), np.array([truncation], kind)
        assert levels_in_image(*given).tolist() == [level]


def test_of_detections_only_the_height_counts() -> None:
    assert levels_of_heights([41, 40, 39, 25, 24.99]).tolist() == [0, 0, 1, 1, 3]


def test_points_and_distances_serve_where_there_is_no_image() -> None:
    assert levels_from((100, 20, 5), [400, 100, 99, 5, 4, np.nan]).tolist() == [0, 0, 1, 2, 3, 3]
    assert levels_up_to((20, 40, 60), [0, 20, 20.1, 60, 61, np.nan]).tolist() == [0, 0, 1, 2, 3, 3]


def test_no_objects_have_no_levels() -> None:
    assert levels_in_image([], [], []).shape == levels_from((3, 2, 1), []).shape == (0,)
