"""Metrics by band: what is counted where, and that the border between bands costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from perception.evaluation.metrics.bands import (
    DISTANCE_BANDS_M,
    POINT_BANDS,
    Band,
    distances_m,
    inside,
    inside_or_lowest,
)
from perception.evaluation.metrics.detection import DetectionMetrics
from perception.evaluation.metrics.kitti import KittiMetrics
from perception.types import Boxes3D
from tests.evaluation.metrics.detections import cars, crowded_frame, row

Metrics = DetectionMetrics | KittiMetrics
Maker = Callable[[int], Metrics]
MAKERS: list[Maker] = [
    lambda groups: DetectionMetrics(["Car"], 1e9, groups),
    lambda groups: KittiMetrics(groups=groups),
]
NEAR, MIDDLE, FAR = (band.name for band in DISTANCE_BANDS_M)


def precision(metrics: Metrics) -> float:
    if isinstance(metrics, DetectionMetrics):
        return metrics.curve("Car", 0.5).average_precision
    return metrics.curve("Car", "3d", "easy").average_precision


def banded(
    make: Maker, bands: Sequence[Band], truth: Boxes3D, found: Boxes3D, of_truth: ArrayLike, of_found: ArrayLike
) -> dict[str, Any]:
    metrics = make(len(bands))
    metrics.add(truth, found, truth_counts=inside(of_truth, bands), found_counts=inside_or_lowest(of_found, bands))
    return {band.name: metrics.group(number) for number, band in enumerate(bands)}


def by_distance(make: Maker, truth: Boxes3D, found: Boxes3D) -> dict[str, Any]:
    return banded(make, DISTANCE_BANDS_M, truth, found, distances_m(truth), distances_m(found))


@pytest.mark.parametrize("make", MAKERS)
def test_each_band_has_its_own_objects_and_false_alarms(make: Maker) -> None:
    truth = cars(row(5), row(0, 30), row(-50))
    found = cars(row(5), row(0, 30), row(8, 8), scores=(0.8, 0.7, 0.9))  # the third is nothing, 11 m away
    values = {name: precision(metrics) for name, metrics in by_distance(make, truth, found).items()}
    assert values[NEAR] < 0.6
    assert (values[MIDDLE], values[FAR]) == (1, 0)


@pytest.mark.parametrize("make", MAKERS)
def test_a_border_makes_neither_misses_nor_false_alarms(make: Maker) -> None:
    truth = cars(row(19.9), row(39.9), row(10), row(30), row(60))
    found = cars(row(20.1), row(40.1), row(10), row(30), row(60), scores=(0.9, 0.9, 0.8, 0.8, 0.8))
    assert [precision(metrics) for metrics in by_distance(make, truth, found).values()] == [1, 1, 1]


@pytest.mark.parametrize("make", MAKERS)
def test_truth_against_itself_is_perfect_in_every_band(make: Maker) -> None:
    truth = cars(*(row(6.0 * place, 0.5) for place in range(12)))
    assert [precision(metrics) for metrics in by_distance(make, truth, truth).values()] == [1, 1, 1]


def test_values_on_a_border_belong_to_the_band_that_begins_there() -> None:
    truth = cars(*(row(3.0 * place) for place in range(9)))
    metrics = banded(MAKERS[0], POINT_BANDS, truth, cars(), [0, 1, 4, 5, 19, 20, 99, 100, 5000], [])
    assert [one.objects("Car") for one in metrics.values()] == [2, 2, 2, 2]


def test_a_detection_without_points_is_a_false_alarm_of_the_lowest_band() -> None:
    truth, found = cars(row(0), row(9)), cars(row(0), row(9), row(20))
    metrics = banded(MAKERS[1], POINT_BANDS, truth, found, [3, 300], [3, 300, 0])
    alarms = [one.curve("Car", "3d", "easy").false_alarms for one in metrics.values()]
    assert [sum(one) for one in alarms] == [1, 0, 0, 0]


def test_groups_do_not_change_each_other() -> None:
    """Of three groups (everything, what is left, nothing) each has the figures that metrics of its own would have."""
    random = np.random.default_rng(3)
    together, whole, half = KittiMetrics(groups=3), KittiMetrics(), KittiMetrics()
    for _ in range(10):
        frame = crowded_frame(random)
        levels = {"truth_levels": frame.occlusions, "found_levels": np.zeros(len(frame.found), int)}
        flags = [
            np.column_stack([np.ones(len(boxes)), boxes.centers[:, 0] < 0, np.zeros(len(boxes))]) > 0
            for boxes in (frame.truth, frame.found)
        ]
        together.add(frame.truth, frame.found, truth_counts=flags[0], found_counts=flags[1], **levels)
        whole.add(frame.truth, frame.found, **levels)
        of_half = {"truth_counts": flags[0][:, 1], "found_counts": flags[1][:, 1]}
        half.add(frame.truth, frame.found, **of_half, **levels)
    for number, alone in enumerate((whole, half)):
        np.testing.assert_array_equal(together.group(number).average_precisions("bev"), alone.average_precisions("bev"))
        curves = [one.curve("Car", "bev", "hard") for one in (together.group(number), alone)]
        assert curves[0].sampled_average_precision == curves[1].sampled_average_precision
    assert np.isnan(together.group(2).average_precisions("bev")).all()


def test_flags_must_fit() -> None:
    with pytest.raises(ValueError, match="one flag for each of 2 boxes, in 3 groups"):
        DetectionMetrics(["Car"], groups=3).add(cars(row(0), row(5)), cars(), truth_counts=np.ones((2, 2)))
    with pytest.raises(ValueError, match="1 to 15 groups"):
        DetectionMetrics(["Car"], groups=16)
