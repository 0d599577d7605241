"""Pictures of boxes: where they are, which way they face, and what the legend says."""

from __future__ import annotations

import dataclasses

import numpy as np

from perception.evaluation.report.detection_pictures import (
    TRUTH_COLOR,
    DetectedScan,
    detection_sheet,
    detection_view,
    footprints,
    readable,
)
from perception.evaluation.report.pictures import BACKGROUND, BirdsEyeArea
from perception.types import Boxes3D

AREA = BirdsEyeArea(front_m=20, back_m=20, side_m=20, pixels_per_meter=10)
#: Bright enough to be drawn as it is.
RED, NOTHING = (255, 80, 60), np.empty((0, 4), np.float32)


def boxes(*rows: tuple[float, float, float], size: tuple[float, float, float] = (4, 2, 1.5)) -> Boxes3D:
    """Cars at x, y with a yaw."""
    values = np.array(rows, np.float32).reshape(-1, 3)
    count = len(values)
    return Boxes3D(
        np.stack([values[:, 0], values[:, 1], np.zeros(count, np.float32)], 1),
        np.tile(np.array(size, np.float32), (count, 1)),
        values[:, 2],
        ("car",) * count,
        np.ones(count, np.float32),
        np.full((count, 2), np.nan, np.float32),
    )


def scan(found: Boxes3D, truth: Boxes3D | None = None) -> DetectedScan:
    return DetectedScan("a street", NOTHING, found, truth, {"car": RED})


def rows_and_columns(picture: np.ndarray, color: tuple[int, int, int]) -> tuple[range, range]:
    """Where a colour lies."""
    rows, columns = np.nonzero((picture == color).all(axis=2))
    return range(rows.min(), rows.max() + 1), range(columns.min(), columns.max() + 1)


def test_a_turned_box_has_its_front_left_corner_first() -> None:
    straight, turned = footprints(boxes((10, 5, 0), (10, 5, np.pi / 2)))
    np.testing.assert_allclose(straight, [(12, 6), (8, 6), (8, 4), (12, 4)], atol=1e-5)
    np.testing.assert_allclose(turned, [(9, 7), (9, 3), (11, 3), (11, 7)], atol=1e-5)


def test_a_box_in_front_on_the_left_is_in_the_upper_left_of_the_picture() -> None:
    rows, columns = rows_and_columns(detection_view(scan(boxes((10, 5, 0))), AREA), RED)
    # x from 8 to 12 m of 20 to -20, y from 4 to 6 m, 10 pixels a metre; edges are two pixels wide.
    edges = (rows.start, rows.stop, columns.start, columns.stop)
    np.testing.assert_allclose(edges, (80, 120, 140, 160), atol=1)


def test_the_line_to_the_front_tells_two_opposite_boxes_apart() -> None:
    ahead, back = (detection_view(scan(boxes((10, 5, yaw))), AREA) for yaw in (0.0, np.pi))
    places = ((90, 150), (110, 150))
    assert [tuple(ahead[place]) == RED for place in places] == [True, False]
    assert [tuple(back[place]) == RED for place in places] == [False, True]


def test_the_truth_is_white_and_below_what_was_found() -> None:
    both = detection_view(scan(boxes((10, 5, 0)), boxes((10, 5, 0), (-10, 0, 0))), AREA)
    white = (both == TRUTH_COLOR).all(axis=2)
    assert not white[:150].any(), "the found box covers the true one"
    assert white[250:].any(), "the one that was missed"


def test_a_sheet_counts_what_was_found_and_what_is_true_and_takes_an_empty_cloud() -> None:
    nothing = detection_sheet(scan(boxes()), AREA)
    one = detection_sheet(scan(boxes((10, 5, 0))), AREA)
    with_truth = detection_sheet(scan(boxes((10, 5, 0)), boxes((0, 0, 0))), AREA)
    assert nothing.height < one.height < with_truth.height


def test_a_long_title_is_broken_into_lines_that_fit() -> None:
    short = scan(boxes())
    title = "street 3, frame 59, at 5.9 s: F1 score 0.41 at scores from 0.3, 512 ms from the stamp to the result"
    sheet = np.asarray(detection_sheet(dataclasses.replace(short, title=title), AREA))
    margin = sheet[: AREA.pixels_per_meter * 20, -20:]
    assert (margin == BACKGROUND).all(), "the title ends before the margin"
    assert len(sheet) >= detection_sheet(short, AREA).height + 30, "and has a line more"


def test_dark_colors_are_lightened_and_bright_ones_are_kept() -> None:
    assert readable(RED) == RED
    red, green, blue = readable((0, 0, 230))
    assert blue > 230
    assert red == green
    assert 0.299 * red + 0.587 * green + 0.114 * blue >= 109
