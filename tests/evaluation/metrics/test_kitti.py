"""KITTI's average precision: scenes whose curve is worked out on paper, and figures of another implementation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception.data.kitti_levels import LEVELS, levels_in_image, levels_of_heights
from perception.evaluation.metrics.kitti import KITTI_CLASSES, VIEWS, KittiClass, KittiMetrics
from perception.types import Boxes3D
from tests.evaluation.metrics.detections import RatedFrame, cars, crowded_frame, row

LOOSE = (KittiClass("Car", 0.2),)


def measured(truth: Boxes3D, found: Boxes3D, classes: tuple[KittiClass, ...] = KITTI_CLASSES, **more) -> KittiMetrics:
    metrics = KittiMetrics(classes)
    metrics.add(truth, found, **more)
    return metrics


def precision(metrics: KittiMetrics, name: str = "Car", view: str = "3d", level: str = "easy") -> float:
    return metrics.curve(name, view, level).average_precision


def test_one_hit_and_a_false_alarm() -> None:
    truth = cars(row(0))
    below = measured(truth, cars(row(0), row(20), scores=(0.9, 0.8)))
    above = measured(truth, cars(row(0), row(20), scores=(0.8, 0.9)))
    level = measured(truth, cars(row(0), row(20), scores=(0.8, 0.8)))
    assert [precision(metrics) for metrics in (below, above, level)] == [1, 0.5, 0.5]


def test_two_hits_with_a_false_alarm_between() -> None:
    metrics = measured(cars(row(0), row(10)), cars(row(0), row(20), row(10), scores=(0.9, 0.8, 0.7)))
    curve = metrics.curve("Car", "bev", "easy")
    np.testing.assert_allclose(curve.scores, [0.9, 0.8, 0.7], rtol=1e-6)
    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 2 / 3])
    np.testing.assert_allclose(curve.recall, [0.5, 0.5, 1])
    # Up to a recall of 50 % precision is 1, from there it is 2/3.
    assert curve.average_precision == pytest.approx((20 + 20 * 2 / 3) / 40)


def test_recall_that_is_not_reached_counts_as_zero() -> None:
    truth = cars(*(row(10 * place) for place in range(8)))
    metrics = measured(truth, cars(row(0), row(10), row(20)))
    assert precision(metrics) == pytest.approx(15 / 40)  # 3 of 8 found: 15 of the 40 levels
    assert precision(measured(truth, cars())) == 0


def test_an_overlap_must_exceed_the_limit_of_the_class() -> None:
    # 4 m long, moved by d along: (4 - d) / (4 + d) is 0.7 at 0.706 m and 0.5 at 1.333 m.
    for name, near, far in (("Car", 0.70, 0.71), ("Pedestrian", 1.33, 1.34), ("Cyclist", 1.33, 1.34)):
        values = [precision(measured(cars(row(0), names=name), cars(row(x), names=name)), name) for x in (near, far)]
        assert values == [1, 0], name
    half = measured(cars(row(0), names="Cyclist", size=(4, 2, 1)), cars(row(2), names="Cyclist", size=(8, 2, 1)))
    assert precision(half, "Cyclist") == 0, "exactly one half is not enough"


def test_heights_count_in_3d_only() -> None:
    metrics = measured(cars(row(0)), cars(row(0, z=0.5)))  # 1 of 2 m are common
    assert (precision(metrics, view="bev"), precision(metrics, view="3d")) == (1, 0)


def test_an_object_is_found_once() -> None:
    metrics = measured(cars(row(0)), cars(row(0.5), row(0), scores=(0.9, 0.8)))
    curve = metrics.curve("Car", "3d", "easy")
    assert [curve.hits.tolist(), curve.false_alarms.tolist()] == [[1, 1], [0, 1]]
    assert curve.average_precision == 1


def test_matches_change_with_the_threshold() -> None:
    # The first object takes what lies between both, until it gets one of its own.
    metrics = measured(cars(row(0), row(2)), cars(row(1), row(0), scores=(0.9, 0.8)), LOOSE)
    curve = metrics.curve("Car", "bev", "easy")
    assert [curve.hits.tolist(), curve.false_alarms.tolist()] == [[1, 2], [0, 0]]
    # A third, better still for the first, frees the second, which nobody needs: a false alarm.
    more = measured(cars(row(0)), cars(row(1), row(0.5), row(0), scores=(0.9, 0.8, 0.7)), LOOSE)
    assert more.curve("Car", "bev", "easy").false_alarms.tolist() == [0, 1, 2]


def test_a_harder_object_is_neither_hit_nor_missed_at_an_easier_level() -> None:
    truth, found = cars(row(0), row(10)), cars(row(10), row(20), row(0), scores=(0.9, 0.8, 0.7))
    metrics = measured(truth, found, truth_levels=[0, 2])
    assert [metrics.objects("Car", level) for level in LEVELS] == [1, 1, 2]
    # Easy: a false alarm, then the hit. Hard: a hit, the false alarm, a hit.
    expected = [0.5, 0.5, (20 + 20 * 2 / 3) / 40]
    np.testing.assert_allclose(metrics.average_precisions("3d"), [expected, [np.nan] * 3, [np.nan] * 3])


@pytest.mark.parametrize(("name", "like"), [("Car", "Van"), ("Pedestrian", "Person_sitting"), ("car", "van")])
def test_a_neighbour_is_neither_hit_nor_missed(name: str, like: str) -> None:
    metrics = measured(cars(row(0), row(10), names=(like, name)), cars(row(0), row(10), names=name, scores=(0.9, 0.8)))
    curve = metrics.curve(name.capitalize(), "3d", "easy")
    assert (curve.objects, curve.hits[-1], curve.false_alarms[-1]) == (1, 1, 0)


def test_other_classes_are_false_alarms() -> None:
    metrics = measured(cars(row(0), row(10), names=("Cyclist", "Car")), cars(row(0), row(10), scores=(0.9, 0.8)))
    assert (precision(metrics), precision(metrics, "Cyclist")) == (0.5, 0)


def test_detections_mostly_in_a_region_that_nobody_cares_for_are_left_out() -> None:
    truth = replace(cars(row(0), row(20), names=("Car", "DontCare")), sizes=np.float32([[4, 2, 1.5], [20, 20, 3]]))
    inside, edge, outside = (row(x) for x in (20.0, 10.5, 9.5))  # the region begins at x = 10
    alarms = [
        measured(truth, cars(row(0), at, scores=(0.5, 0.9))).curve("Car", "3d", "easy").false_alarms.tolist()
        for at in (inside, edge, outside)
    ]
    assert alarms == [[0], [1, 1], [1, 1]]  # at the edge 2.5 of 4 m lie inside, which is not more than 70 %
    walking = measured(truth, cars(edge, names="Pedestrian")).curve("Pedestrian", "3d", "easy")
    assert not len(walking.scores), "more than 50 % is enough there"


def test_an_object_in_such_a_region_is_still_found() -> None:
    truth = replace(cars(row(20), row(20), names=("Car", "DontCare")), sizes=np.float32([[4, 2, 1.5], [20, 20, 3]]))
    assert precision(measured(truth, cars(row(20)))) == 1


def test_a_small_detection_is_neither_a_hit_nor_a_false_alarm() -> None:
    truth = cars(row(0), row(10))
    metrics = measured(truth, cars(row(0), row(10), row(20)), found_levels=[0, 1, 1])
    easy, moderate = (metrics.curve("Car", "3d", level) for level in LEVELS[:2])
    assert (easy.hits[-1], easy.false_alarms[-1]) == (1, 0)
    assert (moderate.hits[-1], moderate.false_alarms[-1]) == (2, 1)


def test_a_small_detection_of_any_class_keeps_the_score_of_what_it_finds_best_out_of_the_sample() -> None:
    found = cars(row(0), row(0), row(9), names=("Pedestrian", "Car", "Car"), scores=(0.9, 0.5, 0.8))
    small, large = (measured(cars(row(0), row(9)), found, found_levels=[level, 0, 0]) for level in (3, 0))
    assert len(small.curve("Car", "3d", "easy").hit_scores) == 1
    assert len(large.curve("Car", "3d", "easy").hit_scores) == 2
    assert precision(small) == precision(large) == 1


def test_a_large_detection_goes_before_a_small_one_that_overlaps_more() -> None:
    metrics = measured(cars(row(0)), cars(row(0), row(0.5)), found_levels=[3, 0])
    curve = metrics.curve("Car", "3d", "easy")
    assert (curve.hits[-1], curve.false_alarms[-1]) == (1, 0)


def test_flags_leave_out_objects_and_false_alarms_but_not_hits() -> None:
    truth, found = cars(row(0), row(10)), cars(row(0), row(10), row(20))
    metrics = measured(truth, found, truth_counts=[True, False], found_counts=[False, True, False])
    curve = metrics.curve("Car", "3d", "easy")
    assert (curve.objects, curve.hits[-1], curve.false_alarms[-1]) == (1, 1, 0)


def test_orientation_similarity() -> None:
    square = (2.0, 2.0, 2.0)
    for turn, expected in ((0.0, 1.0), (np.pi / 2, 0.5), (np.pi, 0.0), (2 * np.pi, 1.0)):
        found = cars(row(0, yaw=turn), row(10), scores=(0.8, 0.9), size=square)
        curve = measured(cars(row(0), size=square), found).curve("Car", "3d", "easy")
        assert curve.average_precision == 0.5
        assert curve.average_orientation_similarity == pytest.approx(expected / 2, abs=1e-6)


def test_frames_without_objects_hold_false_alarms() -> None:
    metrics = measured(cars(), cars())
    assert np.isnan(metrics.average_precisions("3d")).all()
    metrics.add(cars(), cars(row(0), scores=(0.9,)))
    assert np.isnan(precision(metrics)), "no object, no recall"
    metrics.add(cars(row(0)), cars(row(0), scores=(0.8,)))
    metrics.add(cars(), cars())
    assert (metrics.frames, precision(metrics)) == (4, 0.5)


def test_levels_must_be_as_many_as_boxes() -> None:
    with pytest.raises(ValueError, match=r"\[2\], found \[1\]"):
        measured(cars(row(0), row(9)), cars(), truth_levels=[0])


def test_the_sample_of_scores_needs_41_objects() -> None:
    for count, expected in ((1, 0), (40, 39 / 40), (41, 1), (500, 1)):
        truth = cars(*(row(10 * place) for place in range(count)))
        found = replace(truth, scores=np.linspace(0.9, 0.1, count, dtype=np.float32))
        curve = measured(truth, found).curve("Car", "bev", "easy")
        assert curve.average_precision == 1
        assert curve.sampled_average_precision == pytest.approx(expected), count


def added(frames: list[RatedFrame]) -> KittiMetrics:
    metrics = KittiMetrics()
    for frame in frames:
        truth_levels = levels_in_image(frame.truth_heights_px, frame.occlusions, frame.truncations)
        found_levels = levels_of_heights(frame.found_heights_px)
        metrics.add(frame.truth, frame.found, truth_levels=truth_levels, found_levels=found_levels)
    return metrics


def test_figures_are_those_of_another_implementation() -> None:
    # Of mmdet3d 1.4.0's port of KITTI's kit on the same frames and overlaps, seen from above.
    random = np.random.default_rng(20)
    metrics = added([crowded_frame(random) for _ in range(150)])
    precisions = [
        [0.0080391, 0.07166287, 0.13840366],
        [0.03616071, 0.38021903, 0.58733721],
        [0.0025, 0.33355793, 0.54493583],
    ]
    similarities = [
        [0.0080018, 0.07149686, 0.13809002],
        [0.03609461, 0.37947018, 0.58651933],
        [0.00249292, 0.33321165, 0.54392126],
    ]
    curves = [[metrics.curve(one.name, "bev", level) for level in LEVELS] for one in KITTI_CLASSES]
    sampled = [[curve.sampled_average_precision for curve in row] for row in curves]
    np.testing.assert_allclose(sampled, precisions, atol=1e-8)
    sampled = [[curve.sampled_average_orientation_similarity for curve in row] for row in curves]
    np.testing.assert_allclose(sampled, similarities, atol=1e-8)


def test_parts_add_up_to_the_whole() -> None:
    random = np.random.default_rng(1)
    frames = [crowded_frame(random) for _ in range(6)]
    whole, first, second = added(frames), added(frames[:2]), added(frames[2:])
    first.merge(second)
    assert first.frames == whole.frames
    for view in VIEWS:
        np.testing.assert_array_equal(first.average_precisions(view), whole.average_precisions(view))
    with pytest.raises(ValueError, match="cannot merge"):
        first.merge(KittiMetrics(LOOSE))


seeds = st.integers(0, 2**32 - 1)


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_truth_against_itself_is_perfect(seed: int) -> None:
    frame = crowded_frame(np.random.default_rng(seed))
    metrics = added([frame._replace(found=frame.truth, found_heights_px=frame.truth_heights_px)])
    for view in VIEWS:
        for one in KITTI_CLASSES:
            for level in LEVELS:
                curve = metrics.curve(one.name, view, level)
                if curve.objects:
                    assert curve.average_precision == 1, (view, one.name, level)
                    assert curve.average_orientation_similarity == pytest.approx(1)


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_only_the_order_of_scores_counts(seed: int) -> None:
    frame = crowded_frame(np.random.default_rng(seed))
    other = frame._replace(found=replace(frame.found, scores=np.exp(3 * frame.found.scores) / 40))
    for view in VIEWS:
        np.testing.assert_array_equal(added([frame]).average_precisions(view), added([other]).average_precisions(view))


@given(seeds, st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_false_alarms_never_help_and_do_no_harm_below_all_scores(seed: int, score: float) -> None:
    frame = crowded_frame(np.random.default_rng(seed))
    before = added([frame]).average_precisions("bev")
    for at, compare in ((score, np.less_equal), (0.001, np.equal)):
        far = cars(row(500), row(520), scores=(at, at))
        empty = crowded_frame(np.random.default_rng(seed))._replace(
            truth=cars(), found=far, found_heights_px=np.array([50.0, 50.0])
        )
        alone = empty._replace(truth_heights_px=np.empty(0), occlusions=np.empty(0), truncations=np.empty(0))
        after = added([frame, alone]).average_precisions("bev")
        assert (compare(after, before) | np.isnan(before)).all()
