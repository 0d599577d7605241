"""Every frame through every network, on several processes: in order, whole, the same for any number of them."""

from __future__ import annotations

import numpy as np
import pytest

from perception.configuration import ConfigurationError
from perception.data.point_clouds import CloudSettings
from perception.data.sweep_history import Sweep, SweepHistory, merge_into
from perception.evaluation.offline import OfflineOptions, offline_outcomes
from perception.evaluation.offline.jobs import FrameEvaluator, frame_jobs
from perception.evaluation.offline.network import NetworkSettings
from perception.evaluation.offline.pool import WINDOW
from tests.evaluation.stand_in_networks import SETTINGS, StandInDrive, models, start


def evaluated(drives, networks, workers=1, **changes):
    return list(offline_outcomes(drives, networks, OfflineOptions(workers=workers, networks=SETTINGS, **changes)))


def without_times(records):
    return [record.model_copy(update={"stage_ms": {}}).model_dump_json() for record in records]


def test_every_frame_of_every_bag_in_every_network_in_order():
    drives = [StandInDrive("first", 3), StandInDrive("empty", 0), StandInDrive("second", 2)]
    found = evaluated(drives, models("labels", "boxes"), workers=2)

    order = [(bag, index, name) for bag, count in (("first", 3), ("second", 2)) for index in range(count)
             for name in ("labels", "boxes")]  # fmt: skip
    assert [(outcome.bag, outcome.index, outcome.model) for outcome, _ in found] == order
    assert [(record.bag, record.index, record.model) for _, record in found] == order
    for outcome, record in found:
        assert not outcome.dropped
        assert list(outcome.stage_ms)[-1] == "total"
        assert {"decode", "inference", "network.look"} <= set(outcome.stage_ms)
        assert record.points == len(outcome.frame.frame.cloud) == 40
    labelled = found[0][0]
    assert np.array_equal(labelled.result.class_ids, labelled.frame.frame.cloud.points[:, 2] > 0)


def test_results_do_not_depend_on_the_number_of_workers():
    networks = models("labels", "boxes3")
    one, again, three = (
        without_times(record for _, record in evaluated([StandInDrive(expected_frames=7)], networks, workers))
        for workers in (1, 1, 3)
    )
    assert one == again == three


def test_past_sweeps_are_those_of_the_node():
    (network,) = models("boxes3")
    drive = StandInDrive(expected_frames=4)
    jobs = list(frame_jobs("drive", drive.frames(), [network]))
    outcomes = [FrameEvaluator([network], SETTINGS, None)(job, 0) for job in jobs]

    history = SweepHistory(lambda *_: pytest.fail("every pose is known"))
    for moment, answer in zip(drive.frames(), outcomes, strict=True):
        pose = moment.odom_from_base @ moment.base_from_lidar
        sweep = Sweep(moment.frame.cloud.points, moment.frame.stamp_ns, "lidar", pose)
        merged = merge_into(history, sweep, 3, 0.5, "odom").points
        # The stand-in detector puts a box in the middle of every sweep.
        middles = [merged[merged[:, 4] == lag, :3].mean(axis=0, dtype=np.float64) for lag in np.unique(merged[:, 4])]
        assert answer.result.boxes.centers[:-1].tolist() == np.array(middles, np.float32).tolist()
    assert [len(answer.result) for answer in outcomes] == [2, 3, 4, 4]


def test_past_sweeps_that_are_too_old_are_left_out():
    (network,) = models("boxes3")
    drive = StandInDrive(expected_frames=3)
    seen = [
        [len(job.past[3]) for job in frame_jobs("drive", drive.frames(), [network], age_s)] for age_s in (0.0, 0.15)
    ]
    assert seen == [[0, 0, 0], [0, 1, 1]]


def test_only_the_first_frame_goes_through_twice():
    engine = start("labels", threads=1)
    (network,) = models("labels")
    evaluator = FrameEvaluator([network], NetworkSettings(start=lambda *_, **__: engine), None)
    for done, job in enumerate(frame_jobs("drive", StandInDrive(expected_frames=4).frames(), [network]), 1):
        assert evaluator(job, 0).result is not None
        assert engine.calls == ["forward"] * (done + 1)


def test_limit_of_frames():
    drive = StandInDrive(expected_frames=50)
    assert len(evaluated([drive, StandInDrive(expected_frames=1)], models("labels"), limit=4)) == 5
    assert drive.read == 4


def test_a_bounded_number_of_frames_is_under_way():
    drive = StandInDrive(expected_frames=100)
    for done, _ in enumerate(offline_outcomes([drive], models("labels"), OfflineOptions(workers=2, networks=SETTINGS))):
        assert drive.read <= done + 1 + 2 * WINDOW


def test_a_frame_over_which_a_worker_dies_is_dropped_and_the_rest_is_not():
    problems = []
    drive = StandInDrive(expected_frames=8, poisoned=(2, 5))
    found = evaluated(
        [drive], models("dies", "labels"), workers=2, on_problem=lambda *problem: problems.append(problem)
    )

    dropped = [(outcome.index, outcome.model, outcome.dropped) for outcome, _ in found if outcome.dropped]
    assert dropped == [(2, "dies", "worker_ended"), (5, "dies", "worker_ended")]
    assert [record.dropped for _, record in found] == [outcome.dropped for outcome, _ in found]
    assert len(found) == 16
    assert problems[0] == ("dies", "worker_ended", "the worker process ended (signal SIGKILL)")


def test_workers_that_end_again_and_again_end_the_evaluation():
    drive = StandInDrive(expected_frames=8, poisoned=tuple(range(8)))
    with pytest.raises(ConfigurationError, match="again and again"):
        evaluated([drive], models("dies"))


def test_a_frame_over_which_a_network_raises_is_dropped():
    problems = []
    drive = StandInDrive(expected_frames=3, poisoned=(1,))
    found = evaluated([drive], models("raises"), on_problem=lambda *problem: problems.append(problem))

    assert [outcome.dropped for outcome, _ in found] == ["", "processing_failed", ""]
    assert problems == [("raises", "processing_failed", "ValueError: a poisoned cloud")]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("missing", "there are no weights"), ("ends", r"while its networks were starting \(signal SIGKILL\)")],
)
def test_a_network_that_does_not_start_is_one_sentence(name, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        evaluated([StandInDrive()], models(name), workers=2)


def test_a_cloud_that_no_node_would_take_is_dropped_for_the_same_reason():
    settings = NetworkSettings(start=start, clouds={"segmentation": CloudSettings(max_points=10)})
    (network,) = models("labels")
    jobs = list(frame_jobs("drive", StandInDrive().frames(), [network]))
    jobs[1].moment.message.data = jobs[1].moment.message.data[:100]
    whole, cut = (FrameEvaluator([network], settings, None)(job, 0) for job in jobs[:2])

    assert cut.dropped == cut.record.dropped == "malformed.truncated"
    # As the node: points beyond the limit get class 255, so that there is a label for every point.
    assert len(whole.result) == 40
    assert set(whole.result.class_ids[10:].tolist()) == {255}


def test_each_task_reads_clouds_as_its_own_node_does():
    settings = NetworkSettings(start=start, clouds={"detection": CloudSettings(max_points=10)})
    (network,) = models("labels")
    (job, *_) = frame_jobs("drive", StandInDrive().frames(), [network])
    assert 255 not in FrameEvaluator([network], settings)(job, 0).result.class_ids


def test_a_wrong_number_of_workers():
    with pytest.raises(ConfigurationError, match="--workers"):
        OfflineOptions(workers=0)
