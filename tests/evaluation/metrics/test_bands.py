"""Metrics by band: what is counted where, and that the border between bands costs nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from perception.evaluation.metrics.bands import (
    DISTANCE_BANDS_M,
    POINT_BANDS,
    Band,
    BandedMetrics,
    CountingMetrics,
    distances_m,
)
from perception.evaluation.metrics.detection import DetectionMetrics
from perception.evaluation.metrics.kitti import KittiMetrics
from perception.types import Boxes3D
from tests.evaluation.metrics.detections import cars, crowded_frame, row

MAKERS: list[Callable[[], CountingMetrics]] = [lambda: DetectionMetrics(["Car"], 1e9), KittiMetrics]
NEAR, MIDDLE, FAR = (band.name for band in DISTANCE_BANDS_M)


def precision(metrics: CountingMetrics) -> float:
    if isinstance(metrics, DetectionMetrics):
        return metrics.curve("Car", 0.5).average_precision
    assert isinstance(metrics, KittiMetrics)
    return metrics.curve("Car", "3d", "easy").average_precision


def by_distance(make: Callable[[], CountingMetrics], truth: Boxes3D, found: Boxes3D) -> dict[str, CountingMetrics]:
    banded = BandedMetrics(DISTANCE_BANDS_M, make)
    banded.add(truth, found, distances_m(truth), distances_m(found))
    return banded.metrics


@pytest.mark.parametrize("make", MAKERS)
def test_each_band_has_its_own_objects_and_false_alarms(make: Callable[[], CountingMetrics]) -> None:
    truth = cars(row(5), row(0, 30), row(-50))
    found = cars(row(5), row(0, 30), row(8, 8), scores=(0.8, 0.7, 0.9))  # the third is nothing, 11 m away
    values = {name: precision(metrics) for name, metrics in by_distance(make, truth, found).items()}
    assert values[NEAR] < 0.6
    assert (values[MIDDLE], values[FAR]) == (1, 0)


@pytest.mark.parametrize("make", MAKERS)
def test_a_border_makes_neither_misses_nor_false_alarms(make: Callable[[], CountingMetrics]) -> None:
    truth = cars(row(19.9), row(39.9), row(10), row(30), row(60))
    found = cars(row(20.1), row(40.1), row(10), row(30), row(60), scores=(0.9, 0.9, 0.8, 0.8, 0.8))
    assert [precision(metrics) for metrics in by_distance(make, truth, found).values()] == [1, 1, 1]


@pytest.mark.parametrize("make", MAKERS)
def test_truth_against_itself_is_perfect_in_every_band(make: Callable[[], CountingMetrics]) -> None:
    truth = cars(*(row(6.0 * place, 0.5) for place in range(12)))
    assert [precision(metrics) for metrics in by_distance(make, truth, truth).values()] == [1, 1, 1]


def test_values_on_a_border_belong_to_the_band_that_begins_there() -> None:
    banded = BandedMetrics(POINT_BANDS, lambda: DetectionMetrics(["Car"]))
    truth = cars(*(row(3.0 * place) for place in range(9)))
    banded.add(truth, cars(), [0, 1, 4, 5, 19, 20, 99, 100, 5000], [])
    assert [metrics.objects("Car") for metrics in banded.metrics.values()] == [2, 2, 2, 2]


def test_a_detection_without_points_is_a_false_alarm_of_the_lowest_band() -> None:
    banded = BandedMetrics(POINT_BANDS, KittiMetrics)
    banded.add(cars(row(0), row(9)), cars(row(0), row(9), row(20)), [3, 300], [3, 300, 0])
    alarms = [metrics.curve("Car", "3d", "easy").false_alarms for metrics in banded.metrics.values()]
    assert [sum(one) for one in alarms] == [1, 0, 0, 0]


def test_one_band_around_everything_changes_nothing() -> None:
    random = np.random.default_rng(3)
    banded, whole = BandedMetrics([Band("all", 0)], KittiMetrics), KittiMetrics()
    for _ in range(10):
        frame = crowded_frame(random)
        levels = {"truth_levels": frame.occlusions, "found_levels": np.zeros(len(frame.found), int)}
        whole.add(frame.truth, frame.found, **levels)
        banded.add(frame.truth, frame.found, distances_m(frame.truth), distances_m(frame.found), **levels)
    np.testing.assert_array_equal(banded.metrics["all"].average_precisions("bev"), whole.average_precisions("bev"))
