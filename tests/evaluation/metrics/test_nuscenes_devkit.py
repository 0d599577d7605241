"""Our figures of random scenes are those of nuScenes' own functions, also when made from records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from perception.classes import NUSCENES_CLASSES
from perception.evaluation.criteria import DetectionCriteria
from perception.evaluation.metrics.detection import ATTRIBUTE, MEANINGLESS, DetectionMetrics
from perception.evaluation.metrics.detection_matching import DISTANCES_M, ERROR_DISTANCE_M, ERRORS
from perception.types import Boxes3D
from tests.evaluation.metrics.nuscenes_devkit import KINDS, devkit, their_boxes, their_metrics
from tests.evaluation.outcomes import boxes_frame, judged_boxes

FRAMES, OBJECTS, ALARMS = 12, 20, 6
SEEDS = range(4)

Scene = tuple[list[Boxes3D], list[Boxes3D]]


def random_boxes(rng: np.random.Generator, count: int, names: Sequence[str]) -> Boxes3D:
    low, high = (-30, -30, -1, 2, 1, 1, -3, -5, -5), (30, 30, 1, 6, 3, 2, 3, 5, 5)
    columns = rng.uniform(low, high, (count, 9)).astype(np.float32)
    columns[: count // 10, 7:] = np.nan
    kinds = tuple(rng.choice(names, count).tolist())
    return Boxes3D(columns[:, :3], columns[:, 3:6], columns[:, 6], kinds, np.ones(count, np.float32), columns[:, 7:])


def seen(rng: np.random.Generator, truth: Boxes3D, names: Sequence[str]) -> Boxes3D:
    """Four of five objects, not quite where they are and some by another name, and false alarms; some scores equal."""
    rows = np.flatnonzero(rng.random(len(truth)) < 0.8)
    alarms = random_boxes(rng, ALARMS, names)
    other = rng.choice(names, len(rows))
    kinds = [truth.class_names[row] if rng.random() < 0.9 else str(other[place]) for place, row in enumerate(rows)]
    noise = rng.normal(0, 1, (len(rows), 9)).astype(np.float32)
    return Boxes3D(
        np.concatenate([truth.centers[rows] + 0.7 * noise[:, :3], alarms.centers]),
        np.concatenate([truth.sizes[rows] * (1 + np.abs(noise[:, 3:6]) / 5), alarms.sizes]),
        np.concatenate([truth.yaws[rows] + 0.3 * noise[:, 6], alarms.yaws]),
        (*kinds, *alarms.class_names),
        (rng.integers(10, 100, len(rows) + ALARMS) / 100).astype(np.float32),
        np.concatenate([truth.velocities[rows] + noise[:, 7:], alarms.velocities]),
    )


def scene(seed: int, names: Sequence[str]) -> Scene:
    """Frames of objects, and what is found of them."""
    rng = np.random.default_rng(seed)
    truth = [random_boxes(rng, OBJECTS, names) for _ in range(FRAMES)]
    return truth, [seen(rng, frame, names) for frame in truth]


@pytest.mark.parametrize("seed", SEEDS)
def test_curves_are_those_of_nuscenes(seed: int) -> None:
    names = ("car", "barrier")
    frames = scene(seed, names)
    metrics, theirs = DetectionMetrics(names, 1e9), tuple(map(their_boxes, frames))
    for pair in zip(*frames, strict=True):
        metrics.add(*pair)
    kit = devkit()
    for name in names:
        for distance in DISTANCES_M:
            data = kit.algo.accumulate(*theirs, name, kit.center_distance, distance)
            own = metrics.curve(name, distance)
            np.testing.assert_allclose(own.precision, data.precision, atol=1e-9)
            np.testing.assert_allclose(own.score, data.confidence, atol=1e-9)
            assert own.average_precision == pytest.approx(kit.algo.calc_ap(data, 0.1, 0.1), abs=1e-9)
            if distance == ERROR_DISTANCE_M:
                for own_errors, kind in zip(metrics.error_curves(name), KINDS, strict=True):
                    np.testing.assert_allclose(own_errors, getattr(data, kind), atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_figures_made_from_records_are_those_of_nuscenes(seed: int) -> None:
    truth, found = scene(seed, NUSCENES_CLASSES)
    theirs = their_metrics(their_boxes(truth), their_boxes(found))
    frames = [(boxes_frame(one), other) for one, other in zip(truth, found, strict=True)]
    own = judged_boxes(frames, NUSCENES_CLASSES, DetectionCriteria(least_points=0))
    assert 0.2 < theirs.mean_ap < 0.9
    assert own.mean_average_precision == pytest.approx(theirs.mean_ap, abs=1e-6)
    assert own.nuscenes_detection_score == pytest.approx(theirs.nd_score, abs=1e-6)
    for kind, their_name in zip(ERRORS, KINDS, strict=True):
        assert own.errors[kind] == pytest.approx(theirs.tp_errors[their_name], abs=1e-6), kind
    # Nobody names attributes: the devkit calls that an error of 1, we call it unknown, and both scores hold it as 1.
    assert (own.errors[ATTRIBUTE], theirs.tp_errors["attr_err"]) == (None, 1)
    for name, figures in own.by_class.items():
        assert figures.average_precision == pytest.approx(theirs.mean_dist_aps[name], abs=1e-6), name
        for kind, their_name in zip(ERRORS, KINDS, strict=True):
            if kind not in MEANINGLESS.get(name, ()):
                assert figures.errors[kind] == pytest.approx(theirs.get_label_tp(name, their_name), abs=1e-6)
