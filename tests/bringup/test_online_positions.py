"""The frames of a drive are found again among the clouds that were replayed."""

from perception.bringup.evaluate.online import _Positions
from perception.nodes.replay_trace import PublishedMessage


def found(published, frames):
    positions = _Positions([PublishedMessage("/points", 0, stamp_ns, 0, 0.0) for stamp_ns in published])
    return [positions.next_with(stamp_ns) for stamp_ns in frames]


def test_clouds_that_are_no_frames_are_passed_over():
    assert found([1, 2, 3, 4], [1, 3, 4]) == [0, 2, 3]


def test_frames_that_were_not_replayed_are_told():
    assert found([1, 2], [1, 2, 3]) == [0, 1, None]


def test_stamps_may_repeat_and_go_back():
    assert found([5, 6, 5, 6, 6], [5, 6, 5, 6, 6, 6]) == [0, 1, 2, 3, 4, None]


def test_a_replay_may_put_clouds_in_another_order():
    assert found([1, 2, 3], [3, 1, 2]) == [2, 0, 1]
