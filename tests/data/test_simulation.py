"""The simulated drive as those see it who train and evaluate on it."""

from __future__ import annotations

from itertools import islice, pairwise

import numpy as np
import pytest

from perception.classes import IGNORED, NUSCENES_CLASSES, SEMANTIC_KITTI_CLASSES
from perception.configuration import ConfigurationError
from perception.data.drive import DriveFrame
from perception.data.simulation import SimulatedDrive, StreetSettings, load_sensor, simulate_drive
from perception.data.simulation.lidar import SpinningLidar
from perception.data.simulation.street import FIRST_STATIC_ID

SWEEP_S = 0.1
MUST_OCCUR = set(SEMANTIC_KITTI_CLASSES) - {"motorcyclist", "other-ground"}


def drive_of(seed: int, frames: int = 20, sensor: str = "hdl64e") -> SimulatedDrive:
    settings = load_sensor(sensor)
    return SimulatedDrive(seed, SpinningLidar(settings, settings.rate_hz), frames, StreetSettings())


@pytest.fixture(scope="module")
def frames() -> list[DriveFrame]:
    """The first sweep of several drives, and one 1.5 s later."""
    return [drive.sweep(index) for drive in map(drive_of, range(900, 906)) for index in (0, 15)]


def share_inside(frame: DriveFrame, index: int, points: np.ndarray) -> np.ndarray:
    """Which points (sensor's frame) lie in a box grown by 5 cm on every side."""
    boxes = frame.objects
    cosine, sine = np.cos(boxes.yaws[index]), np.sin(boxes.yaws[index])
    local = (points - boxes.centers[index]) @ np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    return np.all(np.abs(local) <= 0.5 * boxes.sizes[index] + 0.05, axis=1)


def at_the_time_of_its_box(frame: DriveFrame, index: int, rows: np.ndarray) -> np.ndarray:
    """Move an object's points to where they were when the beam passed the centre of its box.

    Uses only what the frame says: the velocity of the object, the twist of the vehicle, the time of each point.
    """
    center = frame.objects.centers[index]
    box_time = SWEEP_S * np.mod((np.pi - np.arctan2(center[1], center[0])) / (2 * np.pi), 1.0)
    points = frame.frame.cloud.points[rows, :3].astype(np.float64)
    linear, angular = frame.twist[:3], frame.twist[3:]
    sensor_velocity = linear + np.cross(angular, frame.base_from_lidar[:3, 3])
    velocity = np.append(frame.objects.velocities[index], 0.0) - sensor_velocity - np.cross(angular, points)
    return points + velocity * (box_time - frame.frame.cloud.time_s[rows])[:, None]


def test_the_same_seed_gives_the_same_arrays() -> None:
    *_, first = simulate_drive(seed=7, frames=3)
    again = next(islice(simulate_drive(seed=7, frames=3), 2, None))
    assert_equal_frames(first, again)
    (other,) = simulate_drive(seed=8, frames=1)
    assert first.frame.cloud.points.shape != other.frame.cloud.points.shape


def test_a_sweep_does_not_depend_on_those_before_it() -> None:
    *_, last = simulate_drive(seed=7, frames=4)
    assert_equal_frames(last, drive_of(7, frames=4).sweep(3))


def assert_equal_frames(one: DriveFrame, other: DriveFrame) -> None:
    for name in ("points", "time_s", "ring"):
        np.testing.assert_array_equal(getattr(one.frame.cloud, name), getattr(other.frame.cloud, name))
    for name in ("class_ids", "instance_ids", "odom_from_base", "twist"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.objects.centers, other.objects.centers)
    assert one.objects.ids == other.objects.ids
    assert one.frame.stamp_ns == other.frame.stamp_ns


def test_a_frame_is_complete_and_consistent(frames: list[DriveFrame]) -> None:
    for frame in frames:
        cloud = frame.frame.cloud
        count = len(cloud)
        assert 90_000 < count <= 64 * 2083
        assert cloud.points.dtype == np.float32
        assert np.isfinite(cloud.points).all()
        assert (cloud.points[:, 3] >= 0).all()
        assert (cloud.points[:, 3] <= 1).all()
        assert cloud.time_s.shape == cloud.ring.shape == frame.class_ids.shape == frame.instance_ids.shape == (count,)
        assert set(np.unique(frame.class_ids)) <= {*range(19), IGNORED}
        assert frame.frame.frame_id == load_sensor("hdl64e").frame_id
        np.testing.assert_allclose(np.linalg.det(frame.odom_from_base[:3, :3]), 1.0)


def test_points_come_as_the_sensor_fires(frames: list[DriveFrame]) -> None:
    cloud = frames[0].frame.cloud
    assert cloud.time_s.min() >= 0.0
    assert cloud.time_s.max() < SWEEP_S
    assert (np.diff(cloud.time_s) >= 0).all()
    same_column = np.diff(cloud.time_s) == 0
    assert (np.diff(cloud.ring.astype(int))[same_column] > 0).all()
    elevation = np.arcsin(cloud.points[:, 2] / np.linalg.norm(cloud.points[:, :3], axis=1))
    expected = load_sensor("hdl64e").elevations_rad()[cloud.ring]
    assert np.abs(elevation - expected).max() < np.radians(0.1)


def test_boxes_hold_the_points_of_their_objects(frames: list[DriveFrame]) -> None:
    inside = []
    for frame in frames:
        for index, identifier in enumerate(frame.objects.ids):
            rows = np.flatnonzero(frame.instance_ids == int(identifier))
            assert len(rows) >= 1
            inside.append(share_inside(frame, index, at_the_time_of_its_box(frame, index, rows)))
    assert np.concatenate(inside).mean() >= 0.999
    shares = np.array([flags.mean() for flags in inside if len(flags) > 100])
    assert len(shares) > 100
    assert (shares >= 0.99).mean() >= 0.97


def test_raw_points_stay_in_their_boxes_too(frames: list[DriveFrame]) -> None:
    inside = [
        share_inside(frame, index, frame.frame.cloud.points[frame.instance_ids == int(identifier), :3])
        for frame in frames
        for index, identifier in enumerate(frame.objects.ids)
    ]
    assert np.concatenate(inside).mean() >= 0.99


def test_boxes_and_instances_agree(frames: list[DriveFrame]) -> None:
    names = {"car": {"car"}, "truck": {"truck"}, "other-vehicle": {"bus"}, "person": {"pedestrian"}}
    names |= {"bicyclist": {"bicycle"}, "bicycle": {"bicycle"}, "motorcycle": {"motorcycle"}}
    for frame in frames:
        boxes = frame.objects
        assert set(boxes.class_names) <= set(NUSCENES_CLASSES)
        assert len(set(boxes.ids)) == len(boxes)
        seen = set(np.unique(frame.instance_ids).tolist()) - {0}
        assert {int(identifier) for identifier in boxes.ids} == seen
        for index, identifier in enumerate(boxes.ids):
            classes = np.unique(frame.class_ids[frame.instance_ids == int(identifier)])
            assert len(classes) == 1
            assert boxes.class_names[index] in names[SEMANTIC_KITTI_CLASSES[classes[0]]]


def boxes_in_odom(frame: DriveFrame) -> dict[str, tuple[float, np.ndarray, np.ndarray]]:
    """Id -> time in seconds, centre and velocity in odom, from what the frame says about the vehicle's motion."""
    boxes = {}
    for identifier, center, velocity in zip(
        frame.objects.ids, frame.objects.centers.astype(np.float64), frame.objects.velocities, strict=True
    ):
        if abs(np.arctan2(center[1], center[0])) > np.radians(177.0):
            continue  # where a sweep begins and ends, the beam may pass an object twice or not at all
        elapsed = SWEEP_S * np.mod((np.pi - np.arctan2(center[1], center[0])) / (2 * np.pi), 1.0)
        turn = np.cross(np.eye(3), -frame.twist[3:] * elapsed) + np.eye(3)
        rotation = frame.odom_from_base[:3, :3] @ turn
        position = frame.odom_from_base[:3, 3] + frame.odom_from_base[:3, :3] @ (frame.twist[:3] * elapsed)
        in_base = center + frame.base_from_lidar[:3, 3]
        moment = frame.frame.stamp_ns * 1e-9 + elapsed
        boxes[identifier] = (moment, rotation @ in_base + position, rotation @ np.append(velocity, 0.0))
    return boxes


def test_ids_and_velocities_tell_where_an_object_will_be() -> None:
    moved = 0
    for before, after in pairwise(map(boxes_in_odom, simulate_drive(seed=3, frames=4))):
        for identifier in before.keys() & after.keys():
            (start_s, start, velocity), (end_s, end, _) = before[identifier], after[identifier]
            np.testing.assert_allclose((end - start)[:2], velocity[:2] * (end_s - start_s), atol=0.05)
            moved += np.linalg.norm(velocity) > 1.0
    assert moved > 20


def test_what_a_network_must_learn_occurs(frames: list[DriveFrame]) -> None:
    seen = np.zeros(256, np.int64)
    near = np.zeros(256, np.int64)
    for frame in frames:
        distance = np.linalg.norm(frame.frame.cloud.points[:, :2], axis=1)
        seen += np.bincount(frame.class_ids, minlength=256)
        near += np.bincount(frame.class_ids[distance < 30.0], minlength=256) > 0
    occurring = {SEMANTIC_KITTI_CLASSES[index] for index in np.flatnonzero(seen[:19])}
    assert occurring == MUST_OCCUR
    for name in ("person", "bicyclist", "bicycle", "pole", "traffic-sign", "trunk"):
        assert near[SEMANTIC_KITTI_CLASSES.index(name)] >= 0.75 * len(frames), name


def test_the_twist_is_the_motion_of_the_poses() -> None:
    drive = list(simulate_drive(seed=5, frames=4))
    for before, after in pairwise(drive):
        step = np.linalg.inv(before.odom_from_base) @ after.odom_from_base
        mean_twist = 0.5 * (before.twist + after.twist)
        np.testing.assert_allclose(step[:3, 3] / SWEEP_S, mean_twist[:3], atol=0.1)
        assert after.frame.stamp_ns - before.frame.stamp_ns == 100_000_000
    np.testing.assert_allclose(drive[0].odom_from_base, np.eye(4), atol=1e-9)


def test_the_ground_is_where_the_vehicle_stands(frames: list[DriveFrame]) -> None:
    road = SEMANTIC_KITTI_CLASSES.index("road")
    for frame in frames:
        points = frame.frame.cloud.points
        close = (frame.class_ids == road) & (np.linalg.norm(points[:, :2], axis=1) < 6.0)
        height = points[close, 2] + frame.base_from_lidar[2, 3]
        assert abs(np.median(height)) < 0.15


@pytest.mark.parametrize(("name", "rings", "rate_hz"), [("nuscenes32", 32, 20.0), ("lidar128", 128, 10.0)])
def test_other_sensors(name: str, rings: int, rate_hz: float) -> None:
    first, second = simulate_drive(seed=1, sensor=name, frames=2)
    assert first.frame.cloud.ring.max() < rings
    assert len(np.unique(first.frame.cloud.ring)) > 0.8 * rings
    assert second.frame.stamp_ns - first.frame.stamp_ns == round(1e9 / rate_hz)
    assert len(first.frame.cloud) > 0.5 * rings * load_sensor(name).columns


def test_an_empty_street_has_only_vehicles_that_drive() -> None:
    empty = StreetSettings(
        side_streets=0.0,
        parking_lots=0.0,
        parking_strip=0.0,
        parked=0.0,
        parked_bicycles=0.0,
        walkers_per_100_m=0.0,
        standing_per_100_m=0.0,
        bicyclists_per_100_m=0.0,
    )
    (frame,) = simulate_drive(seed=2, frames=1, street=empty)
    assert len(frame.objects) >= 1
    assert set(frame.objects.class_names) <= {"car", "truck", "bus"}
    assert max(map(int, frame.objects.ids)) < FIRST_STATIC_ID


def test_a_sensor_is_found_by_name_or_path(top) -> None:
    path = top / "config" / "sensors" / "hdl64e.yaml"
    assert load_sensor("hdl64e") == load_sensor(path) == load_sensor(str(path))
    assert len(load_sensor("hdl64e").elevations_rad()) == 64


def test_an_unknown_sensor_names_those_that_exist() -> None:
    with pytest.raises(ConfigurationError, match=r"no sensor 'hdl65'.*hdl64e, lidar128, nuscenes32"):
        load_sensor("hdl65")


def test_a_wrong_key_names_itself(top, tmp_path) -> None:
    text = (top / "config" / "sensors" / "hdl64e.yaml").read_text()
    wrong = tmp_path / "mine.yaml"
    wrong.write_text(text.replace("columns: 2083", "colums: 2083"))
    with pytest.raises(ConfigurationError, match=r"mine\.yaml.*colum"):
        load_sensor(wrong)


def test_two_beams_at_one_elevation_are_refused(top, tmp_path) -> None:
    text = (top / "config" / "sensors" / "hdl64e.yaml").read_text()
    wrong = tmp_path / "mine.yaml"
    wrong.write_text(text.replace("from_deg: -8.83", "from_deg: -8.33"))
    with pytest.raises(ConfigurationError, match="same elevation"):
        load_sensor(wrong)
