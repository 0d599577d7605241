"""The worst frames: few, apart in time, and the same in whichever order frames arrive."""

import random

import numpy as np
import pytest

from perception.evaluation.outcomes import FrameOutcome
from perception.evaluation.report.worst_frames import MOMENT_NS, WorstFrames
from perception.types import LabelledCloud
from tests.evaluation.report.evaluations import LABELLER, NETWORKS, SECOND_NS, frame, outcome, record

TENTH_NS = SECOND_NS // 10


def passing(index, quality, bag="bag", total_ms=10.0, stamp_ns=None):
    """A frame of ten a second, and its record."""
    of_bag = frame(0, truth=False)
    result = LabelledCloud(np.zeros(4000, np.uint8), np.ones(4000, np.float32))
    passed = FrameOutcome(bag, index, of_bag, "labeller", result, stage_ms={"total": total_ms})
    stamp_ns = index * TENTH_NS if stamp_ns is None else stamp_ns
    return passed, record(passed, quality).model_copy(update={"stamp_ns": stamp_ns})


def shown(frames, limit=10):
    worst = WorstFrames(NETWORKS, limit)
    for passed in frames:
        worst.add(*passed)
    return [(one.record.bag, one.record.index) for one in worst.frames("labeller")]


def test_the_worst_come_first_and_no_more_than_asked_for():
    qualities = {0: 0.9, 30: 0.1, 60: 0.5, 90: 0.3}
    frames = [passing(index, quality) for index, quality in qualities.items()]
    assert shown(frames, limit=3) == [("bag", 30), ("bag", 90), ("bag", 60)]


def test_one_moment_is_shown_once():
    frames = [passing(index, 0.5 + abs(index - 50) / 1000) for index in range(100)]
    indices = [index for _, index in shown(frames)]
    assert indices[0] == 50
    gaps = np.diff(sorted(indices)) * TENTH_NS
    assert len(indices) >= 3
    assert (gaps >= MOMENT_NS).all()


def test_other_bags_are_other_moments():
    frames = [passing(3, 0.5, bag) for bag in ("b", "a", "c")]
    assert shown(frames) == [("a", 3), ("b", 3), ("c", 3)]


def test_ties_keep_the_order_of_the_frames():
    assert shown([passing(index, 0.5) for index in (90, 30, 60)], limit=2) == [("bag", 30), ("bag", 60)]


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_arrival_does_not_matter(seed):
    rng = random.Random(seed)
    frames = [passing(index, rng.choice([0.1, 0.2, 0.3, rng.random()]), rng.choice("xy")) for index in range(600)]
    in_order = shown(frames, limit=4)
    rng.shuffle(frames)
    assert shown(frames, limit=4) == in_order
    assert len(in_order) == 4


def test_few_clouds_are_held(monkeypatch):
    worst = WorstFrames(NETWORKS, limit=2)
    for index in range(0, 4000, 7):
        worst.add(*passing(index, (index * 37 % 101) / 101))
    assert len(worst._worst["labeller"].frames) == 6
    assert len(worst._slowest["labeller"].frames) == 0


def test_what_is_kept_is_a_copy():
    """Clouds may lie in buffers that the next frames are read into."""
    passed, of_frame = passing(0, 0.5)
    worst = WorstFrames(NETWORKS)
    worst.add(passed, of_frame)
    (kept,) = worst.frames("labeller")
    before = kept.outcome.frame.frame.cloud.points.copy()
    passed.frame.frame.cloud.points[:] = 7
    passed.result.class_ids[:] = 7
    np.testing.assert_array_equal(kept.outcome.frame.frame.cloud.points, before)
    assert not kept.outcome.result.class_ids.any()


def test_without_truth_the_slowest_are_shown():
    frames = [passing(index, None, total_ms=100 - abs(index - 40)) for index in (0, 40, 80)]
    assert shown(frames) == [("bag", 40), ("bag", 0), ("bag", 80)]


@pytest.mark.parametrize("turned", [False, True])
def test_one_frame_with_truth_is_enough_to_leave_slow_ones_out(turned):
    frames = [passing(0, None, total_ms=900.0), passing(30, 0.9), passing(60, None, total_ms=900.0)]
    assert shown(frames[::-1] if turned else frames) == [("bag", 30)]


def test_dropped_frames_are_never_shown():
    dropped = outcome(LABELLER, 6)
    assert dropped.dropped
    assert shown([(dropped, record(dropped))]) == []


def test_times_count_from_the_first_frame_of_the_bag():
    worst = WorstFrames(NETWORKS)
    for passed in (passing(35, 0.5), passing(0, 0.9, stamp_ns=SECOND_NS)):
        worst.add(*passed)
    assert [one.since_start_s for one in worst.frames("labeller")] == [2.5, 0.0]
