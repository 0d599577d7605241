"""Points in boxes, against the plain definition."""

from __future__ import annotations

import numpy as np
import pytest

from perception.data.boxes import MARGIN_M, points_inside, turn
from perception.types import Boxes3D


def random_boxes(rng: np.random.Generator, count: int) -> Boxes3D:
    columns = rng.uniform((-9, -9, -1, 0.1, 0.1, 0.5, -4), (9, 9, 1, 9, 4, 3, 4), (count, 7)).astype(np.float32)
    velocities, scores = np.zeros((count, 2), np.float32), np.ones(count, np.float32)
    return Boxes3D(columns[:, :3], columns[:, 3:6], columns[:, 6], ("car",) * count, scores, velocities)


def counted(points: np.ndarray, boxes: Boxes3D) -> list[int]:
    local = [(points[:, :3] - center) @ turn(float(yaw)) for center, yaw in zip(boxes.centers, boxes.yaws, strict=True)]
    halves = boxes.sizes / 2 + MARGIN_M
    return [int((np.abs(one) <= half).all(axis=1).sum()) for one, half in zip(local, halves, strict=True)]


@pytest.mark.parametrize("seed", range(5))
def test_every_point_of_a_box_is_counted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, boxes = rng.uniform((-12, -12, -2, 0), (12, 12, 2, 1), (3000, 4)).astype(np.float32), random_boxes(rng, 20)
    points[::7, seed % 3] = np.nan
    found = points_inside(points, boxes).tolist()
    assert found == counted(points, boxes)
    assert sum(found) > 100


def test_points_on_the_corners_of_a_turned_box_are_in_it() -> None:
    boxes = random_boxes(np.random.default_rng(0), 1)
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * boxes.sizes / 2
    points = (corners @ turn(float(boxes.yaws[0])).T + boxes.centers).astype(np.float32)
    assert points_inside(points, boxes).tolist() == [8]


def test_no_points_and_no_boxes() -> None:
    boxes = random_boxes(np.random.default_rng(0), 3)
    assert points_inside(np.empty((0, 4), np.float32), boxes).tolist() == [0, 0, 0]
    assert points_inside(np.zeros((5, 4), np.float32), random_boxes(np.random.default_rng(0), 0)).tolist() == []
