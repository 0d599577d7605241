"""Detection metrics: worked out by hand, and against nuScenes' own functions where they are installed."""

from __future__ import annotations

import numpy as np
import pytest

from perception.evaluation.detection_metrics import DISTANCES_M, ERRORS, DetectionMetrics
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
    velocity = metrics.curve("car", 2.0).errors[3]
    assert velocity[100] == pytest.approx(2)
    alone = DetectionMetrics(["car"])
    alone.add(boxes(row(0, speed=np.nan)), boxes(row(0)))
    assert alone.errors()["car"][3] == 1


def test_nothing_is_nothing() -> None:
    metrics = DetectionMetrics(["car"])
    assert np.isnan(metrics.mean_average_precision())
    metrics.add(boxes(), boxes())
    assert np.isnan(metrics.mean_average_precision())


def test_curves_are_those_of_nuscenes() -> None:
    algo = pytest.importorskip("nuscenes.eval.detection.algo", reason="nuscenes-devkit is not installed")
    from nuscenes.eval.common.data_classes import EvalBoxes
    from nuscenes.eval.common.utils import center_distance
    from nuscenes.eval.detection.data_classes import DetectionBox

    rng = np.random.default_rng(0)
    metrics, theirs = DetectionMetrics(["car", "barrier"], 1e9), (EvalBoxes(), EvalBoxes())
    for frame in range(12):
        parts = []
        truth, alarms = (rng.uniform((-30, -30, 2, -3, -5), (30, 30, 6, 3, 5), (count, 5)) for count in (8, 3))
        noise = rng.normal(0, (0.7, 0.7, 0.3, 0.3, 1), (8, 5))
        found = np.concatenate([(truth + noise)[rng.random(8) < 0.8], alarms])
        truth[0, 4] = np.nan
        for number, rows in enumerate((truth, found)):
            names = tuple(rng.choice(["car", "car", "barrier"], len(rows)).tolist())
            scores = tuple(rng.uniform(0.1, 1, len(rows)).tolist()) if number else ()
            parts.append(boxes(*map(tuple, rows), names=names, scores=scores))
            theirs[number].add_boxes(str(frame), _their_boxes(DetectionBox, parts[-1], str(frame)))
        metrics.add(*parts)
    for name in metrics.class_names:
        for distance in DISTANCES_M:
            data, own = algo.accumulate(*theirs, name, center_distance, distance), metrics.curve(name, distance)
            np.testing.assert_allclose(own.precision, data.precision, atol=1e-9)
            np.testing.assert_allclose(own.score, data.confidence, atol=1e-9)
            assert own.average_precision == pytest.approx(algo.calc_ap(data, 0.1, 0.1), abs=1e-9)
            their_errors = [algo.calc_tp(data, 0.1, f"{kind}_err") for kind in ("trans", "scale", "orient", "vel")]
            np.testing.assert_allclose(own.mean_errors(), their_errors, atol=1e-6)


def _their_boxes(kind: type, found: Boxes3D, frame: str) -> list[object]:
    return [
        kind(
            sample_token=frame,
            translation=tuple(map(float, center)),
            size=tuple(map(float, size)),
            rotation=(float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2))),
            velocity=tuple(map(float, velocity)),
            detection_name=name,
            detection_score=float(score),
            attribute_name="",
        )
        for center, size, yaw, velocity, name, score in zip(
            found.centers, found.sizes, found.yaws, found.velocities, found.class_names, found.scores, strict=True
        )
    ]
