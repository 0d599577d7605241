"""Where points land in pictures, and in which colour."""

import numpy as np
import pytest

from perception.classes import IGNORED, SEMANTIC_KITTI_COLORS
from perception.evaluation.report.pictures import (
    BACKGROUND,
    CORRECT,
    WRONG,
    BirdsEyeArea,
    RangeViewArea,
    birds_eye_view,
    class_colors,
    error_colors,
    range_view,
)

RED, GREEN = (250, 0, 0), (0, 250, 0)
GROUND = BirdsEyeArea(front_m=10, back_m=10, side_m=10, pixels_per_meter=4)
DIRECTIONS = RangeViewArea(up_deg=10, down_deg=-10, rows=20, columns=36, pixels_per_row=2)


def cloud(*points):
    return np.array([(*point, 0.5) for point in points], np.float32)


def colors(*values):
    return np.array(values, np.uint8)


def centroid(picture, color):
    """Mean row and column of the pixels that are mostly `color`."""
    rows, columns = np.nonzero((np.abs(picture.astype(int) - color) < 60).all(axis=2))
    assert rows.size, "the colour is not in the picture"
    return rows.mean(), columns.mean()


@pytest.mark.parametrize(
    ("point", "row", "column"),
    [((5, 0, 0), 20, 40), ((-5, 0, 0), 60, 40), ((0, 5, 0), 40, 20), ((0, -5, 0), 40, 60)],
)
def test_forward_is_up_and_left_is_left(point, row, column):
    picture = birds_eye_view(cloud(point), colors(RED), GROUND)
    assert picture.shape == (80, 80, 3)
    assert centroid(picture, RED) == pytest.approx((row, column), abs=1)


def test_the_highest_point_covers_those_below():
    high_first = birds_eye_view(cloud((5, 0, 2), (5, 0, 0)), colors(RED, GREEN), GROUND)
    high_last = birds_eye_view(cloud((5, 0, 0), (5, 0, 2)), colors(GREEN, RED), GROUND)
    np.testing.assert_array_equal(high_first, high_last)
    centroid(high_first, RED)


def test_a_point_on_top_covers_higher_ones():
    points, on_top = cloud((5, 0, 2), (5, 0, 0)), np.array([False, True])
    centroid(birds_eye_view(points, colors(RED, GREEN), GROUND, on_top), GREEN)


@pytest.mark.parametrize("view", [birds_eye_view, range_view])
def test_points_outside_and_empty_clouds_leave_no_trace(view):
    empty = view(np.zeros((0, 4), np.float32), np.zeros((0, 3), np.uint8))
    outside = view(cloud((500, 0, 500), (0, 0, 0) if view is range_view else (-500, 0, 0)), colors(RED, RED))
    np.testing.assert_array_equal(outside, empty)


@pytest.mark.parametrize(("point", "column"), [((9, -0.01, 0), 18), ((0, 9, 0), 9), ((0, -9, 0), 27)])
def test_the_range_view_has_forward_in_the_middle_and_left_on_the_left(point, column):
    picture = range_view(cloud(point), colors(RED), DIRECTIONS)
    assert picture.shape == (40, 36, 3)
    assert centroid(picture, RED)[1] == pytest.approx(column, abs=1)


def test_a_higher_direction_is_a_higher_row():
    picture = range_view(cloud((9, 0, 1), (9, 0, -1)), colors(RED, GREEN), DIRECTIONS)
    assert centroid(picture, RED)[0] < centroid(picture, GREEN)[0]


def test_the_nearest_point_hides_those_behind():
    for order in ([0, 1], [1, 0]):
        points, shown = cloud((5, 0, 0), (9, 0, 0))[order], colors(RED, GREEN)[order]
        centroid(range_view(points, shown, DIRECTIONS), RED)


def test_a_row_lost_to_rounding_is_closed_and_a_wider_gap_is_not():
    degrees = np.radians([0.5, -1.5, -4.5])
    points = cloud(*((np.cos(angle), 0, np.sin(angle)) for angle in degrees))
    picture = range_view(points, colors(RED, RED, RED), DIRECTIONS)[::2]
    filled = (picture != BACKGROUND).any(axis=2).any(axis=1)
    assert np.flatnonzero(filled).tolist() == [9, 10, 11, 14]


def test_classes_take_the_benchmarks_colors_and_the_unknown_is_grey():
    shown = class_colors(np.array([0, 8, IGNORED], np.uint8), SEMANTIC_KITTI_COLORS)
    assert shown[:2].tolist() == [[100, 150, 245], [255, 0, 255]]
    assert shown[2].tolist() not in SEMANTIC_KITTI_COLORS.tolist()


def test_errors_are_red_and_points_without_truth_are_neither():
    shown = error_colors(np.array([1, 1, IGNORED], np.uint8), np.array([1, 2, 2], np.uint8)).tolist()
    assert shown[:2] == [list(CORRECT), list(WRONG)]
    assert shown[2] not in shown[:2]
