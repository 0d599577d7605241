"""Looking up transforms in a tree of moving frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception.data.transforms import TransformBuffer, TransformError, inverse, matrix

SECOND = 1_000_000_000
NO_TURN = (0, 0, 0, 1)


def turn_about_z(radians):
    return (0, 0, np.sin(radians / 2), np.cos(radians / 2))


@pytest.fixture
def buffer():
    """A vehicle that drives 10 m/s along x and turns left 90 degrees a second, with a LiDAR 2 m above it."""
    buffer = TransformBuffer()
    buffer.add("base", "lidar", 0, (0, 0, 2), NO_TURN, is_static=True)
    for second in range(3):
        stamp = (100 + second) * SECOND
        buffer.add("odom", "base", stamp, (10 * second, 0, 0), turn_about_z(second * np.pi / 2))
    return buffer


def test_exact_times_chain_static_and_moving(buffer):
    odom_from_lidar = buffer.lookup("odom", "lidar", 101 * SECOND)

    np.testing.assert_allclose(odom_from_lidar @ [1, 0, 0, 1], [10, 1, 2, 1], atol=1e-12)


def test_times_between_are_interpolated_along_the_arc(buffer):
    odom_from_base = buffer.lookup("odom", "base", 100 * SECOND + SECOND // 2)

    half = np.sqrt(0.5)
    np.testing.assert_allclose(odom_from_base @ [1, 0, 0, 1], [5 + half, half, 0, 1], atol=1e-12)


def test_the_way_back_is_the_inverse(buffer):
    there, back = (buffer.lookup(*frames, 101 * SECOND) for frames in (("odom", "lidar"), ("lidar", "odom")))

    np.testing.assert_allclose(there @ back, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(inverse(there), back, atol=1e-12)


def test_siblings_meet_at_their_parent(buffer):
    buffer.add("base", "camera", 0, (1, 0, 0), NO_TURN, is_static=True)

    np.testing.assert_allclose(buffer.lookup("camera", "lidar", 0)[:3, 3], [-1, 0, 2])
    np.testing.assert_array_equal(buffer.lookup("lidar", "lidar", 0), np.eye(4))


@pytest.mark.parametrize(
    ("target", "source", "seconds", "message"),
    [
        ("odom", "lidar", 99.5, r"99\.500 s is 0\.500 s older .* 'base' in 'odom' \(100\.000 to 102\.000 s\)"),
        ("odom", "lidar", 102.25, r"0\.250 s newer"),
        ("odom", "radar", 101, r"nothing is known about 'radar' \(known: base, lidar, odom\)"),
        ("island", "lidar", 101, r"'lidar' and 'island' are not connected"),
    ],
)
def test_what_is_not_known_is_an_error_and_never_the_identity(buffer, target, source, seconds, message):
    buffer.add("island", "palm", 0, (0, 0, 0), NO_TURN, is_static=True)
    message = message.replace("base, lidar, odom", "base, island, lidar, odom, palm")

    with pytest.raises(TransformError, match=message):
        buffer.lookup(target, source, int(seconds * SECOND))


def test_a_loop_of_frames_is_an_error(buffer):
    buffer.add("lidar", "odom", 0, (0, 0, 0), NO_TURN, is_static=True)

    with pytest.raises(TransformError, match="loop: lidar -> base -> odom -> lidar"):
        buffer.lookup("odom", "lidar", 101 * SECOND)


@pytest.mark.parametrize(
    ("parent", "translation", "rotation"),
    [("base", (0, 0, 0), (0, 0, 0, 0)), ("base", (np.nan, 0, 0), NO_TURN), ("lidar", (0, 0, 0), NO_TURN)],
)
def test_what_is_no_transform_is_refused_and_forgotten(buffer, parent, translation, rotation):
    with pytest.raises(ValueError, match="not a transform"):
        buffer.add(parent, "lidar", 0, translation, rotation, is_static=True)
    assert buffer.lookup("base", "lidar", 0)[2, 3] == 2


def test_history_is_bounded_and_late_transforms_are_sorted_in():
    buffer = TransformBuffer(history_s=2.0)
    for second in (0, 2, 1, 4):
        buffer.add("odom", "base", second * SECOND, (second, 0, 0), NO_TURN)

    assert buffer.lookup("odom", "base", 3 * SECOND)[0, 3] == pytest.approx(3)
    with pytest.raises(TransformError, match="older"):
        buffer.lookup("odom", "base", 1 * SECOND)


def test_clear_forgets_what_moves_and_keeps_what_does_not(buffer):
    buffer.clear()

    assert buffer.lookup("base", "lidar", 0)[2, 3] == 2
    with pytest.raises(TransformError, match="nothing is known about 'odom'"):
        buffer.lookup("odom", "lidar", 101 * SECOND)


angles = st.floats(-3.1, 3.1)


@given(first=angles, second=angles, ratio=st.floats(0, 1), sign=st.sampled_from([-1, 1]))
def test_interpolated_rotations_take_the_shorter_way(first, second, ratio, sign):
    buffer = TransformBuffer()
    buffer.add("a", "b", 0, (0, 0, 0), turn_about_z(first))
    buffer.add("a", "b", SECOND, (0, 0, 0), sign * np.array(turn_about_z(second)))
    stamp = int(ratio * SECOND)

    found = buffer.lookup("a", "b", stamp)

    way = (second - first + np.pi) % (2 * np.pi) - np.pi
    if abs(abs(way) - np.pi) > 1e-6:
        wanted = first + way * stamp / SECOND
        np.testing.assert_allclose(found, matrix(np.array([0, 0, 0, *turn_about_z(wanted)])), atol=1e-6)
