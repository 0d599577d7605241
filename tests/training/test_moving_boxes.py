"""Boxes stay on their objects, whatever is done to the cloud."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from perception.classes import SEMANTIC_KITTI
from perception.configuration import ConfigurationError
from perception.data.boxes import chosen, joined, moved, points_inside, turn
from perception.data.drive import DriveFrame
from perception.data.sweeps import merged_points
from perception.training.augmentation import augment_cloud
from perception.training.clouds import LabelledPoints, labelled, make_clouds, moments_of, read_clouds
from perception.training.object_bank import ObjectBank, object_bank
from perception.training.pasting import paste_into
from perception.training.settings import AugmentationSettings
from perception.types import Boxes3D, Frame, PointCloud

ROAD, TRUCK = 8, 3
OFF = AugmentationSettings(scale=0, jitter_m=0, drop=0, intensity_scale=0, intensity_shift=0)


def box(x: float, y: float, yaw: float, number: int = 1, name: str = "truck") -> Boxes3D:
    return Boxes3D(
        centers=np.array([[x, y, 0]], np.float32),
        sizes=np.array([[4, 2, 1]], np.float32),
        yaws=np.array([yaw], np.float32),
        class_names=(name,),
        scores=np.ones(1, np.float32),
        velocities=np.array([[np.cos(yaw), np.sin(yaw)]], np.float32),
        ids=(str(number),),
    )


def street(seed: int = 0, places: tuple[tuple[float, float, float], ...] = ((9, 3, 0.4),)) -> LabelledPoints:
    """Flat ground at -0.6 m, and boxes full of points, more of them towards the front end than in the middle."""
    rng = np.random.default_rng(seed)
    ground = np.column_stack([rng.uniform(-20, 20, (6000, 2)), np.full(6000, -0.6)])
    boxes = [box(x, y, yaw, number) for number, (x, y, yaw) in enumerate(places, 1)]
    parts = [rng.uniform((-2, -1, -0.5), (2, 1, 0.5), (200, 3)) @ turn(yaw).T + (x, y, 0) for x, y, yaw in places]
    xyz = np.concatenate([ground, *parts])
    points = np.column_stack([xyz, rng.random(len(xyz))]).astype(np.float32)
    ids = np.repeat(np.arange(len(places) + 1), [6000, *[200] * len(places)])
    joint = replace(joined(boxes), ids=tuple(str(number) for number in range(1, len(places) + 1)))
    return LabelledPoints(points, np.where(ids, TRUCK, ROAD).astype(np.uint8), ids.astype(np.uint32), joint)


def test_points_are_counted_in_turned_boxes() -> None:
    cloud = street(0, ((9, 3, 0.4), (-9, -3, 2.0)))
    assert points_inside(cloud.points, cloud.boxes).tolist() == [200, 200]
    turned = replace(cloud.boxes, yaws=cloud.boxes.yaws + np.float32(np.pi / 2))
    assert (points_inside(cloud.points, turned) < 150).all()
    assert points_inside(cloud.points[:0], cloud.boxes).tolist() == [0, 0]


@pytest.mark.parametrize("seed", range(6))
def test_boxes_move_with_their_points(seed: int) -> None:
    cloud = street(seed, ((9, 3, 0.4), (-9, -3, 2.0)))
    settings = OFF.model_copy(update={"scale": 0.3, "shift_m": 2.0})
    changed = augment_cloud(cloud, settings, np.random.default_rng(seed))
    assert points_inside(changed.points, changed.boxes).tolist() == [200, 200]
    assert not np.allclose(changed.boxes.centers, cloud.boxes.centers, atol=0.1)
    heading = np.stack([np.cos(changed.boxes.yaws), np.sin(changed.boxes.yaws)], 1)
    speed = np.linalg.norm(changed.boxes.velocities, axis=1, keepdims=True)
    np.testing.assert_allclose(changed.boxes.velocities / speed, heading, atol=1e-5)
    np.testing.assert_allclose(changed.boxes.sizes / cloud.boxes.sizes, np.broadcast_to(speed, (2, 3)), rtol=1e-5)


def test_turns_have_a_limit() -> None:
    boxes = box(10, 0, 0)
    cloud = LabelledPoints(np.zeros((1, 4), np.float32), np.zeros(1, np.uint8), None, boxes)
    limited = OFF.model_copy(update={"rotation_deg": 30.0})
    angles = []
    for seed in range(60):
        x, y = augment_cloud(cloud, limited, np.random.default_rng(seed)).boxes.centers[0, :2]
        angles.append(np.degrees(np.arctan2(y, abs(x))))
    assert np.abs(angles).max() <= 30 + 1e-3
    assert np.abs(angles).max() > 20


def test_a_mirrored_box_drives_on_the_other_side() -> None:
    mirrored = moved(box(3, 4, 0.5), np.diag([-1.0, 1.0, 1.0]), np.zeros(3))
    np.testing.assert_allclose(mirrored.centers, [[-3, 4, 0]])
    np.testing.assert_allclose(mirrored.yaws, [np.pi - 0.5], rtol=1e-6)
    np.testing.assert_allclose(mirrored.sizes, [[4, 2, 1]], rtol=1e-6)


def bank() -> ObjectBank:
    return object_bank([street(1), street(2, ((12, -4, 1.0),))], SEMANTIC_KITTI)


@pytest.mark.parametrize("seed", range(5))
def test_pasted_objects_bring_their_boxes(seed: int) -> None:
    cloud = street(9, ((-15, 10, 0.0),))
    settings = OFF.model_copy(update={"paste": 6.0, "paste_shadow_deg": (0.01, 0.01)})
    pasted = paste_into(cloud, bank(), settings, np.random.default_rng(seed))
    trucks = pasted.points[pasted.class_ids == TRUCK]
    counts = points_inside(trucks, pasted.boxes)
    assert counts.sum() == len(trucks)
    assert len(pasted.boxes) > 1
    assert (counts >= 20).all()
    np.testing.assert_array_equal(pasted.boxes.centers[0], cloud.boxes.centers[0])
    assert set(pasted.boxes.class_names) == {"truck"}


def test_objects_without_a_box_are_not_pasted_among_boxes() -> None:
    cloud = street(1)
    assert len(object_bank([cloud], SEMANTIC_KITTI).objects) == 1
    boxless = replace(cloud, boxes=chosen(cloud.boxes, np.array([False])))
    assert object_bank([boxless], SEMANTIC_KITTI).objects == ()
    assert object_bank([replace(cloud, boxes=None)], SEMANTIC_KITTI).objects[0][0].box is None


def drive(seed: int, count: int = 4) -> list[DriveFrame]:
    """A vehicle that drives 1 m a moment and turns left, past one point that stands at 10, 0 where it began."""
    moments = []
    for number in range(count):
        odom_from_base = np.eye(4)
        odom_from_base[:3, :3], odom_from_base[0, 3] = turn(0.1 * number), number
        base_from_lidar = np.eye(4)
        base_from_lidar[:3, 3] = 0.5, 0, 1.8
        inverse = np.linalg.inv(odom_from_base @ base_from_lidar)
        xyz = inverse[:3, :3] @ (10, 0, 1) + inverse[:3, 3]
        points = np.array([[*xyz, number / 10]], np.float32)
        frame = Frame(PointCloud(points), seed + number * 100_000_000)
        ids = np.array([number], np.uint8)
        moments.append(
            DriveFrame(frame, base_from_lidar, ids, ids.astype(np.uint32), box(number, 0, 0), odom_from_base)
        )
    return moments


def test_sweeps_meet_in_the_frame_of_the_last() -> None:
    moments = drive(0)
    points = merged_points(moments[:3])
    np.testing.assert_allclose(points[:, :3], np.repeat(points[2:, :3], 3, 0), atol=1e-5)
    np.testing.assert_allclose(points[2, :4], moments[2].frame.cloud.points[0])
    np.testing.assert_allclose(points[:, 4], [0.2, 0.1, 0], atol=1e-6)
    assert merged_points(moments[:1]) is moments[0].frame.cloud.points
    with pytest.raises(ConfigurationError, match="need the vehicle's motion"):
        merged_points([replace(moments[0], odom_from_base=None), moments[1]])


def test_moments_are_taken_with_those_before_them() -> None:
    stamps = [[m.frame.stamp_ns // 100_000_000 for m in group] for group in moments_of(drive(0, 7), 3, 2)]
    assert stamps == [[0, 1], [3, 4]]
    assert [len(group) for group in moments_of(drive(0, 7), 3, 1)] == [1, 1, 1]
    cloud = labelled(drive(0)[1:3])
    assert cloud.class_ids.tolist() == cloud.instance_ids.tolist() == [1, 2]
    assert cloud.boxes.centers[0, 0] == 2


def test_boxes_come_back_from_their_file(tmp_path) -> None:
    (file,) = make_clouds(lambda seed: drive(seed, 6), [3], tmp_path, merged_sweeps=2)
    clouds = read_clouds(file)
    assert [cloud.points.shape for cloud in clouds] == [(2, 5)] * 3
    for cloud, moment in zip(clouds, drive(3, 6)[1::2], strict=True):
        for name in ("centers", "sizes", "yaws", "velocities", "scores"):
            np.testing.assert_array_equal(getattr(cloud.boxes, name), getattr(moment.objects, name))
        assert cloud.boxes.class_names == moment.objects.class_names
        assert cloud.boxes.ids == moment.objects.ids


def test_a_drive_without_any_truth_is_refused() -> None:
    (moment,) = itertools.islice(drive(0), 1)
    bare = replace(moment, class_ids=None, instance_ids=None)
    assert labelled([bare]).class_ids.tolist() == [255]
    with pytest.raises(ValueError, match="without labels"):
        labelled([replace(bare, objects=None)])
