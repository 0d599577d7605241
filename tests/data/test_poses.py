"""Rotations survive the way through quaternions, and twists are those of the motion."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from perception.data.poses import inverse, quaternion_of, rigid_transform, rotation_of, twist_between, twists_along

numbers = st.floats(-1, 1)


@given(st.tuples(numbers, numbers, numbers, numbers))
def test_quaternions_come_back(values: tuple[float, float, float, float]) -> None:
    assume(np.linalg.norm(values) > 1e-3)
    rotation = rotation_of(values)
    quaternion = quaternion_of(rotation)
    assert quaternion[3] >= 0
    np.testing.assert_allclose(np.linalg.norm(quaternion), 1, atol=1e-15)
    np.testing.assert_allclose(rotation_of(quaternion), rotation, atol=1e-14)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-14)


def test_a_quarter_turn_about_z() -> None:
    np.testing.assert_allclose(rotation_of((0, 0, np.sqrt(0.5), np.sqrt(0.5))) @ (1, 0, 0), (0, 1, 0), atol=1e-15)


def test_a_rotation_rounded_to_seven_digits_stays_near() -> None:
    rotation = rotation_of((0.1, 0.2, -0.3, 0.9))
    np.testing.assert_allclose(rotation_of(quaternion_of(np.round(rotation, 7))), rotation, atol=1e-7)


def test_inverse() -> None:
    transform = rigid_transform(rotation_of((0.1, 0.2, -0.3, 0.9)), (1, 2, 3))
    np.testing.assert_allclose(inverse(transform) @ transform, np.eye(4), atol=1e-15)


@given(speed=st.floats(-30, 30), yaw_rate=st.floats(-1.5, 1.5), heading=st.floats(-3, 3))
def test_the_twist_of_a_circle_is_its_speed_and_yaw_rate(speed: float, yaw_rate: float, heading: float) -> None:
    def pose(time_s: float) -> np.ndarray:
        angle = heading + yaw_rate * time_s
        # The integral of the velocity; sinc keeps it exact for a straight line.
        middle = heading + yaw_rate * time_s / 2
        chord = speed * time_s * np.sinc(yaw_rate * time_s / 2 / np.pi)
        rotation = rotation_of((0, 0, np.sin(angle / 2), np.cos(angle / 2)))
        return rigid_transform(rotation, (chord * np.cos(middle), chord * np.sin(middle), 0))

    twist = twist_between(pose(0.3), pose(0.4), 0.1)
    np.testing.assert_allclose(twist, (speed, 0, 0, 0, 0, yaw_rate), atol=0.05 * abs(speed) * yaw_rate**2 * 0.1 + 1e-6)


def test_a_lone_pose_has_no_speed_and_the_first_takes_the_second_one_s() -> None:
    poses = np.array([rigid_transform(np.eye(3), (x, 0, 0)) for x in (0.0, 1.0, 3.0)])
    stamps_ns = np.array([0, 100_000_000, 200_000_000])
    np.testing.assert_array_equal(twists_along(poses[:1], stamps_ns[:1]), np.zeros((1, 6)))
    np.testing.assert_allclose(twists_along(poses, stamps_ns)[:, 0], (10, 10, 20))
