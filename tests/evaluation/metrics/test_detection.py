"""Detection metrics: worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from perception.evaluation.metrics.detection import ATTRIBUTE, DetectionMetrics
from perception.evaluation.metrics.detection_matching import ERRORS
from perception.types import Boxes3D


def boxes(*rows: tuple[float, ...], names: tuple[str, ...] | str = "car", scores: tuple[float, ...] = ()) -> Boxes3D:
    """Boxes of x, y, length, yaw, vx; widths are 2, heights 1."""
    array = np.array(rows, np.float32).reshape(-1, 5)
    x, y, length, yaw, speed = array.T
    one = np.ones(len(array), np.float32)
    return Boxes3D(
        centers=np.stack([x, y, 0 * one], 1),
        sizes=np.stack([length, 2 * one, one], 1),
        yaws=yaw,
        class_names=(names,) * len(array) if isinstance(names, str) else names,
        scores=np.array(scores, np.float32) if scores else one,
        velocities=np.stack([speed, 0 * one], 1),
    )


def row(x: float, y: float = 0.0, length: float = 4.0, yaw: float = 0.0, speed: float = 0.0) -> tuple[float, ...]:
    return x, y, length, yaw, speed


def test_found_is_found() -> None:
    metrics = DetectionMetrics(["car", "bus"])
    truth = boxes(row(1), row(10, 5), row(-20))
    metrics.add(truth, truth)
    assert metrics.mean_average_precision() == pytest.approx(1)
    np.testing.assert_allclose(metrics.average_precisions(), [[1] * 4, [np.nan] * 4])
    np.testing.assert_allclose(metrics.errors()["car"], 0, atol=1e-7)
    assert "bus" not in metrics.errors()


def test_distances_decide_what_counts() -> None:
    metrics = DetectionMetrics(["car"])
    metrics.add(boxes(row(0), row(20)), boxes(row(0.4), row(21.5), scores=(0.9, 0.8)))
    # At 0.5 and 1 m one of two is found: of the levels from 11 %, 39 have precision 1, that of 50 % has 0.5.
    half = (39 * 0.9 + 0.4) / 90 / 0.9
    np.testing.assert_allclose(metrics.average_precisions(), [[half, half, 1, 1]])
    # At 2 m the first is 0.4 m off, both 0.95 m in the mean: 0.4 up to a recall of 50 %, then rising steadily.
    assert metrics.errors()["car"][0] == pytest.approx((40 * 0.4 + 50 * 0.4 + 0.55 * 25.5) / 90, rel=1e-6)


def test_the_mean_of_errors_is_read_between_the_recalls() -> None:
    metrics = DetectionMetrics(["car"])
    truth = boxes(row(0, speed=1.0))
    metrics.add(truth, boxes(row(1, length=2.0, yaw=np.pi - 0.1, speed=3.0), scores=(0.5,)))
    np.testing.assert_allclose(metrics.errors()["car"], [1, 0.5, np.pi - 0.1, 2], rtol=1e-6)


def test_a_barrier_has_no_front() -> None:
    metrics = DetectionMetrics(["barrier"])
    metrics.add(boxes(row(0), names="barrier"), boxes(row(0, yaw=np.pi - 0.1), names="barrier"))
    assert metrics.errors()["barrier"][2] == pytest.approx(0.1, rel=1e-5)


def test_an_object_is_found_once_and_by_the_best() -> None:
    metrics = DetectionMetrics(["car"])
    metrics.add(boxes(row(0)), boxes(row(0.3), row(0.1), scores=(0.9, 0.8)))
    assert metrics.curve("car", 0.5).score[50] == pytest.approx(0.9)
    assert metrics.errors()["car"][0] == pytest.approx(0.3)
    assert metrics.mean_average_precision() == pytest.approx((89 + 0.4 / 0.9) / 90)  # the second is a false alarm


def test_false_alarms_before_hits_cost_precision() -> None:
    metrics = DetectionMetrics(["car"])
    metrics.add(boxes(row(0)), boxes(row(30), row(0), scores=(0.9, 0.8)))
    # Recall 0 with precision 0 first, then recall 1 with precision 0.5: a line between.
    expected = np.maximum(0.5 * np.linspace(0, 1, 101)[11:] - 0.1, 0).mean() / 0.9
    np.testing.assert_allclose(metrics.average_precisions(), expected)


def test_other_frames_classes_and_places_do_not_match() -> None:
    metrics = DetectionMetrics(["car", "bus"], {"car": 50, "bus": 10})
    nothing = boxes()
    metrics.add(boxes(row(0), row(60), row(20), names=("car", "car", "bus")), nothing)
    metrics.add(nothing, boxes(row(0), row(70), scores=(0.9, 0.8)))
    assert metrics.frames == 2
    assert [metrics.objects(name) for name in metrics.class_names] == [1, 0]
    assert metrics.mean_average_precision() == 0
    np.testing.assert_array_equal(metrics.errors()["car"], np.ones(len(ERRORS)))


def test_unknown_velocities_are_no_error() -> None:
    metrics = DetectionMetrics(["car"])
    metrics.add(boxes(row(0, speed=np.nan), row(9, speed=1)), boxes(row(0), row(9, speed=3), scores=(0.9, 0.8)))
    velocity = metrics.error_curves("car")[3]
    assert velocity[100] == pytest.approx(2)
    alone = DetectionMetrics(["car"])
    alone.add(boxes(row(0, speed=np.nan)), boxes(row(0)))
    assert np.isnan(alone.errors()["car"][3])
    assert np.isnan(alone.mean_errors()["velocity"])
    assert alone.detection_score() == pytest.approx(0.8), "what is not known counts as wrong, as in nuScenes"
    beside = DetectionMetrics(["car", "bus"])
    beside.add(
        boxes(row(0, speed=np.nan), row(9), names=("car", "bus")),
        boxes(row(0), row(9, speed=0.5), names=("car", "bus")),
    )
    assert beside.mean_errors()["velocity"] == pytest.approx((1 + 0.5) / 2)


def test_nothing_is_nothing() -> None:
    metrics = DetectionMetrics(["car"])
    assert np.isnan(metrics.mean_average_precision())
    metrics.add(boxes(), boxes())
    assert np.isnan(metrics.mean_average_precision())


def test_the_detection_score_weighs_precision_and_errors() -> None:
    metrics = DetectionMetrics(["car"])
    metrics.add(boxes(row(0, speed=1.0)), boxes(row(1, length=2.0, yaw=0.3, speed=1.8)))
    assert metrics.mean_average_precision() == pytest.approx(0.5)  # 1 m off: found at 2 and 4 m
    errors = metrics.mean_errors()
    assert np.isnan(errors.pop(ATTRIBUTE)), "not available"
    assert errors == pytest.approx({"translation": 1, "scale": 0.5, "orientation": 0.3, "velocity": 0.8})
    # Nothing is left of a position 1 m off, nor of the attribute that nobody gives.
    assert metrics.detection_score() == pytest.approx((5 * 0.5 + 0 + 0.5 + 0.7 + 0.2 + 0) / 10)


def test_a_perfect_result_without_attributes_scores_nine_tenths() -> None:
    metrics = DetectionMetrics(["car", "bus"])
    metrics.add(boxes(row(1), row(9)), boxes(row(1), row(9)))
    assert metrics.detection_score() == pytest.approx(0.9)


def test_mean_errors_leave_out_what_a_class_does_not_have() -> None:
    metrics = DetectionMetrics(["car", "traffic_cone", "barrier"])
    names = ("car", "traffic_cone", "barrier")
    found = boxes(row(0, yaw=0.1, speed=0.2), row(10.3, yaw=1, speed=9), row(20, yaw=0.5, speed=9), names=names)
    metrics.add(boxes(row(0), row(10), row(20), names=names), found)
    errors = metrics.mean_errors()
    assert errors["translation"] == pytest.approx(0.1)
    assert errors["orientation"] == pytest.approx((0.1 + 0.5) / 2)
    assert errors["velocity"] == pytest.approx(0.2)
    cones = DetectionMetrics(["traffic_cone"])
    cones.add(boxes(row(0), names="traffic_cone"), boxes(row(0), names="traffic_cone"))
    assert np.isnan(cones.mean_errors()["velocity"])
    assert cones.detection_score() == pytest.approx((5 + 1 + 1) / 10)


def test_objects_that_do_not_count_are_neither_found_nor_missed() -> None:
    metrics = DetectionMetrics(["car"])
    truth = boxes(row(0), row(20), row(40))
    found = boxes(row(20.3), row(0.3), row(-30), scores=(0.9, 0.8, 0.7))
    metrics.add(truth, found, truth_counts=[True, False, False])
    assert metrics.objects("car") == 1
    # At 0.5 m: the first finds what does not count; without it the false alarm at -30 m is below the only hit.
    assert metrics.curve("car", 0.5).average_precision == pytest.approx((89 + 0.4 / 0.9) / 90)
    assert metrics.errors()["car"][0] == pytest.approx(0.3)
    spared = DetectionMetrics(["car"])
    spared.add(truth, found, truth_counts=[True, False, False], found_counts=[True, False, False])
    assert spared.mean_average_precision() == 1, "a hit counts whatever its flag, a false alarm does not"
    with pytest.raises(ValueError, match="one flag for each of 3"):
        metrics.add(truth, found, truth_counts=[True])


def test_parts_add_up_to_the_whole() -> None:
    frames = [
        (boxes(row(0)), boxes(row(0.3), row(5.1), scores=(0.7, 0.8))),
        (boxes(row(5)), boxes(row(5.4), scores=(0.6,))),
    ]
    whole, first, second = (DetectionMetrics(["car"]) for _ in range(3))
    for frame, part in zip(frames, (first, second), strict=True):
        whole.add(*frame)
        part.add(*frame)
    first.merge(second)
    assert (first.frames, first.objects("car")) == (2, 2)
    assert first.detection_score() == whole.detection_score()
    with pytest.raises(ValueError, match="cannot merge"):
        first.merge(DetectionMetrics(["bus"]))
