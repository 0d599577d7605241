"""Past clouds as the newest one's sensor sees them."""

from __future__ import annotations

import numpy as np
import pytest

from perception.data.sweep_history import Sweep, SweepHistory, merge_into
from perception.data.transforms import TransformError

MS = 1_000_000
#: A wall stands here in the world, at all times.
WALL = (10.0, 2.0, 1.0)


class Odometry:
    """A vehicle that drives 10 m/s along x and turns left by 1 rad/s; its pose is not known at some times."""

    def __init__(self) -> None:
        self.unknown_ms: set[int] = set()
        self.asked: list[tuple[str, str, int, bool]] = []

    def pose(self, stamp_ns: int) -> np.ndarray:
        seconds = stamp_ns * 1e-9
        cos, sin = np.cos(seconds), np.sin(seconds)
        return np.array([[cos, -sin, 0, 10 * seconds], [sin, cos, 0, 0], [0, 0, 1, 1.8], [0, 0, 0, 1]])

    def find(self, fixed_frame: str, frame_id: str, stamp_ns: int, is_newest: bool) -> np.ndarray:
        self.asked.append((fixed_frame, frame_id, stamp_ns // MS, is_newest))
        if stamp_ns // MS in self.unknown_ms:
            raise TransformError(f"nothing known at {stamp_ns // MS} ms")
        return self.pose(stamp_ns)

    def sweep(self, stamp_ms: int, intensity: float = 0.5) -> Sweep:
        """One point on the wall, as measured at this time."""
        x, y, z, _ = np.linalg.inv(self.pose(stamp_ms * MS)) @ (*WALL, 1)
        return Sweep(np.array([[x, y, z, intensity]], np.float32), stamp_ms * MS, "lidar")


@pytest.fixture
def odometry() -> Odometry:
    return Odometry()


@pytest.fixture
def history(odometry: Odometry) -> SweepHistory:
    return SweepHistory(odometry.find)


def lags_ms(points: np.ndarray) -> list[int]:
    return np.rint(points[:, -1] * 1e3).astype(int).tolist()


def merge(history: SweepHistory, odometry: Odometry, stamp_ms: int, count: int = 3):
    return merge_into(history, odometry.sweep(stamp_ms), count, 0.5, "odom")


def test_what_stands_still_is_in_one_place_oldest_first(history, odometry):
    merged = [merge(history, odometry, stamp_ms) for stamp_ms in (0, 100, 200, 300)]
    assert [lags_ms(one.points) for one in merged] == [[0], [100, 0], [200, 100, 0], [200, 100, 0]]
    newest = odometry.sweep(300).points[0]
    np.testing.assert_allclose(merged[-1].points[:, :4], np.repeat(newest[None], 3, 0), atol=1e-5)
    assert [one.used for one in merged] == [1, 2, 3, 3]
    assert all(one.without_transform == 0 and one.problem == "" for one in merged)
    assert merged[0].points.dtype == np.float32


def test_features_stay_with_their_points(history, odometry):
    merge_into(history, odometry.sweep(0, intensity=0.25), 2, 0.5, "odom")
    assert merge_into(history, odometry.sweep(100, intensity=0.75), 2, 0.5, "odom").points[:, 3].tolist() == [
        0.25,
        0.75,
    ]


def test_no_more_sweeps_than_asked_for_and_none_too_old(history, odometry):
    for stamp_ms in (0, 100, 200):
        merge(history, odometry, stamp_ms)
    assert lags_ms(merge(history, odometry, 300, count=2).points) == [100, 0]
    assert lags_ms(merge(history, odometry, 801).points) == [0]
    assert lags_ms(merge(history, odometry, 1301).points) == [500, 0]


def test_a_pose_that_is_not_known_leaves_its_sweep_out_and_comes_back_when_it_is(history, odometry):
    odometry.unknown_ms = {100}
    merge(history, odometry, 0)
    alone = merge(history, odometry, 100)
    assert lags_ms(alone.points) == [0]
    assert (alone.used, alone.without_transform, alone.problem) == (1, 1, "nothing known at 100 ms")
    without = merge(history, odometry, 200)
    assert lags_ms(without.points) == [200, 0]
    assert (without.used, without.without_transform) == (2, 1)
    odometry.unknown_ms = set()
    assert lags_ms(merge(history, odometry, 300).points) == [200, 100, 0]


def test_a_pose_is_looked_up_once_and_only_the_newest_is_worth_a_wait(history, odometry):
    odometry.unknown_ms = {100}
    for stamp_ms in (0, 100, 200):
        merge(history, odometry, stamp_ms)
    frames = ("odom", "lidar")
    assert odometry.asked == [(*frames, 0, True), (*frames, 100, True), (*frames, 200, True), (*frames, 100, False)]


def test_no_sweep_from_the_future_and_none_of_the_same_moment(history, odometry):
    for stamp_ms in (0, 200):
        merge(history, odometry, stamp_ms)
    late = merge(history, odometry, 100)
    assert lags_ms(late.points) == [100, 0]
    assert lags_ms(merge(history, odometry, 100).points) == [100, 0]
    assert lags_ms(merge(history, odometry, 300).points) == [200, 100, 0]


def test_a_jump_back_empties_it_before_anything_is_looked_up(odometry):
    events = []

    def find(*arguments):
        events.append("look up")
        return odometry.find(*arguments)

    history = SweepHistory(find, lambda: events.append("jump"))
    for stamp_ms in (5000, 5100):
        merge(history, odometry, stamp_ms)
    assert lags_ms(merge(history, odometry, 100).points) == [0]
    assert events == ["look up", "look up", "jump", "look up"]
    assert lags_ms(merge(history, odometry, 200).points) == [100, 0]
    assert events.count("jump") == 1


def test_another_fixed_frame_begins_anew(history, odometry):
    merge(history, odometry, 0)
    assert lags_ms(merge_into(history, odometry.sweep(100), 3, 0.5, "map").points) == [0]
    assert lags_ms(merge_into(history, odometry.sweep(200), 3, 0.5, "map").points) == [100, 0]
    assert [asked[0] for asked in odometry.asked] == ["odom", "map", "map"]


def test_clearing_forgets(history, odometry):
    merge(history, odometry, 0)
    history.clear()
    assert len(history) == 0
    assert lags_ms(merge(history, odometry, 100).points) == [0]


def test_it_keeps_no_more_clouds_than_it_may_need(history, odometry):
    for stamp_ms in range(0, 2000, 50):
        merge(history, odometry, stamp_ms)
        assert len(history) <= 3


def test_empty_sweeps_are_sweeps(history, odometry):
    empty = Sweep(np.empty((0, 4), np.float32), 0, "lidar")
    assert merge_into(history, empty, 3, 0.5, "odom").points.shape == (0, 5)
    assert lags_ms(merge(history, odometry, 100).points) == [0]
