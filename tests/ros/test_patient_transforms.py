"""Waiting for transforms, on a clock of the test's own."""

from __future__ import annotations

import numpy as np
import pytest

from perception.data.transforms import TransformError
from perception.ros.patient_transforms import RESIGNED_S, PatientTransforms


class World:
    """A clock, and a transform that is known from some time on."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.known_from_s = np.inf
        self.asked: list[tuple[str, str, int]] = []
        self.transforms = PatientTransforms(self.lookup, lambda: self.now_s, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def lookup(self, target: str, source: str, stamp_ns: int) -> np.ndarray:
        self.asked.append((target, source, stamp_ns))
        if self.now_s < self.known_from_s:
            raise TransformError("not yet")
        return np.eye(4)

    def waits_s(self, wait_s: float) -> tuple[float, bool]:
        """How long a look-up takes, and whether it succeeds."""
        start_s = self.now_s
        try:
            self.transforms.lookup("odom", "lidar", 7, wait_s)
        except TransformError:
            return self.now_s - start_s, False
        return self.now_s - start_s, True


@pytest.fixture
def world() -> World:
    return World()


def test_what_is_known_is_found_at_once(world):
    world.known_from_s = 0
    assert world.waits_s(0.02) == (0.0, True)
    assert world.asked == [("odom", "lidar", 7)]


def test_what_comes_in_time_is_waited_for_every_time(world):
    for _ in range(3):
        world.known_from_s = world.now_s + 0.01
        took_s, found = world.waits_s(0.02)
        assert found
        assert took_s == pytest.approx(0.01, abs=0.002)


def test_nothing_is_waited_for_where_nothing_shall_be(world):
    assert world.waits_s(0.0) == (0.0, False)
    assert len(world.asked) == 1
    assert world.waits_s(0.02)[0] == pytest.approx(0.02, abs=0.002)


def test_after_a_wait_in_vain_it_is_resigned_for_a_while(world):
    assert world.waits_s(0.02)[0] == pytest.approx(0.02, abs=0.002)
    assert world.waits_s(0.02) == (0.0, False)
    world.known_from_s = world.now_s
    assert world.waits_s(0.02) == (0.0, True)
    world.now_s += RESIGNED_S
    world.known_from_s = world.now_s + 0.01
    assert world.waits_s(0.02)[1]
