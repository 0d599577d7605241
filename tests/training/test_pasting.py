"""Pasted objects are where a sensor could have seen them, and what they hide is gone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from perception.classes import SEMANTIC_KITTI
from perception.configuration import ConfigurationError
from perception.training.batches import make_batch, prefetched
from perception.training.clouds import LabelledPoints
from perception.training.object_bank import MIN_POINTS, ObjectBank, object_bank
from perception.training.pasting import paste_objects
from perception.training.settings import AugmentationSettings, TrainingSettings
from perception.training.shadows import behind

ROAD, BUILDING, PERSON, TRUCK = (SEMANTIC_KITTI.names.index(name) for name in ("road", "building", "person", "truck"))
CELL_RAD = np.radians([0.2, 0.4])
PASTE = AugmentationSettings(paste=6)


def street(seed: int, slope: float = 0.0, persons: int = 3) -> LabelledPoints:
    """Rings of ground, a wall all around, and people of 60 points, each marked by its own intensity."""
    rng = np.random.default_rng(seed)
    azimuth = np.tile(np.arange(0, 2 * np.pi, 0.02), 60)
    distance = np.repeat(np.linspace(3, 20, 60), len(azimuth) // 60)
    x, y = distance * np.cos(azimuth), distance * np.sin(azimuth)
    ground = np.stack([x, y, -1.7 + slope * x, 0 * x], 1)
    around, height = np.meshgrid(np.arange(0, 2 * np.pi, 0.02), np.arange(-1.5, 4, 0.2))
    wall = np.stack([22 * np.cos(around), 22 * np.sin(around), height, 0 * height], -1).reshape(-1, 4)
    parts, ids = [ground, wall], [0] * (len(ground) + len(wall))
    for number in range(persons):
        angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(5, 15)
        middle = np.array([away * np.cos(angle), away * np.sin(angle)])
        body = rng.uniform((-0.2, -0.2, 0.0), (0.2, 0.2, 1.7), (60, 3))
        body += np.append(middle, -1.7 + slope * middle[0])
        parts.append(np.column_stack([body, np.full(60, (seed * 10 + number + 1) / 1000)]))
        ids += [number + 1] * 60
    points = np.concatenate(parts).astype(np.float32)
    class_ids = np.repeat([ROAD, BUILDING, PERSON], [len(ground), len(wall), 60 * persons]).astype(np.uint8)
    return LabelledPoints(points, class_ids, np.array(ids, np.uint32))


@pytest.fixture(scope="module")
def bank() -> ObjectBank:
    return object_bank([street(1), street(2)], SEMANTIC_KITTI)


def distances(points: np.ndarray) -> np.ndarray:
    return np.hypot(points[:, 0], points[:, 1])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), slope=st.sampled_from([0.0, 0.03]))
def test_objects_stay_whole_and_true(bank: ObjectBank, seed: int, slope: float) -> None:
    scene = street(3, slope, persons=0)
    before = scene.points.copy(), scene.class_ids.copy()
    scene.points.flags.writeable = scene.class_ids.flags.writeable = False
    points, class_ids = paste_objects(scene.points, scene.class_ids, bank, PASTE, np.random.default_rng(seed))
    assert points.dtype == np.float32
    assert np.isfinite(points).all()
    assert np.array_equal(scene.points, before[0])
    assert np.array_equal(scene.class_ids, before[1])
    # Points of the scene keep their labels; points of objects, known by their intensity, are people.
    assert np.array_equal(class_ids == PERSON, points[:, 3] > 0)
    assert np.array_equal(class_ids == ROAD, (points[:, 3] == 0) & (distances(points) < 21))
    for mark in np.unique(points[class_ids == PERSON, 3]):
        pasted = points[points[:, 3] == mark]
        source = next(item.points for item in bank.objects[0] if item.points[0, 3] == mark)
        # The same object may have been pasted more than once, and one may hide a part of another.
        assert len(pasted) >= MIN_POINTS
        assert np.isin(distances(pasted).round(3), distances(source).round(3)).mean() > 0.95
        heights = pasted[:, 2] - (-1.7 + slope * pasted[:, 0])
        assert -0.1 < heights.min() < heights.max() < 1.8


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_what_lies_behind_an_object_is_gone_and_nothing_else(bank: ObjectBank, seed: int) -> None:
    one = PASTE.model_copy(update={"paste": 1})
    # Of several objects, one may hide a part of another, and with it what hid the points behind.
    assume(np.random.default_rng(seed).poisson(one.paste) == 1)
    scene = street(3, persons=0)
    points, class_ids = paste_objects(scene.points, scene.class_ids, bank, one, np.random.default_rng(seed))
    objects, rest = points[class_ids == PERSON, :3], points[class_ids != PERSON, :3]
    if len(objects) == 0:
        return
    assert not _in_line(rest, objects, 0.99).any()
    removed = scene.points[~np.isin(scene.points.view("V16"), points.view("V16")).ravel(), :3]
    assert len(removed)
    assert _in_line(removed, objects, 2.01).all()


def _in_line(points: np.ndarray, occluders: np.ndarray, cells: float) -> np.ndarray:
    """Whether an occluder lies nearer within so many cells of a point's azimuth and elevation, pair by pair."""
    one, other = (
        (np.arctan2(p[:, 1], p[:, 0]), np.arctan2(p[:, 2], distances(p)), np.linalg.norm(p, axis=1))
        for p in (points.astype(np.float64), occluders.astype(np.float64))
    )
    turn = np.abs((one[0][:, None] - other[0] + np.pi) % (2 * np.pi) - np.pi)
    rise = np.abs(one[1][:, None] - other[1])
    nearer = other[2] < one[2][:, None] - 1e-4
    return ((turn < cells * CELL_RAD[0]) & (rise < cells * CELL_RAD[1]) & nearer).any(1)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), around=st.floats(-np.pi, np.pi))
def test_behind_finds_what_pairwise_comparison_finds(seed: int, around: float) -> None:
    rng = np.random.default_rng(seed)
    angles = np.stack([around + rng.normal(0, 0.02, 300), rng.normal(0, 0.02, 300)], 1)
    range_m = rng.uniform(2, 30, 300)
    flat = range_m * np.cos(angles[:, 1])
    xyz = np.stack([flat * np.cos(angles[:, 0]), flat * np.sin(angles[:, 0]), range_m * np.sin(angles[:, 1])], 1)
    points, occluders = np.split(xyz.astype(np.float32), [200])
    found = behind(points, occluders, CELL_RAD)
    assert not (_in_line(points, occluders, 0.99) & ~found).any()
    assert not (found & ~_in_line(points, occluders, 2.02)).any()


def test_an_object_behind_a_wall_is_not_pasted(bank: ObjectBank) -> None:
    scene = street(3, persons=0)
    wall = scene.points[scene.class_ids == BUILDING] * np.array([0.1, 0.1, 1, 1], np.float32)
    points = np.concatenate([scene.points, wall * np.array([1, 1, 0.6, 1], np.float32)])
    class_ids = np.concatenate([scene.class_ids, np.full(len(wall), BUILDING, np.uint8)])
    coarse = PASTE.model_copy(update={"paste_shadow_deg": (1.2, 4.0)})
    pasted, _ = paste_objects(points, class_ids, bank, coarse, np.random.default_rng(0))
    assert len(pasted) == len(points)


def test_no_object_stands_in_another_or_where_there_is_no_ground(bank: ObjectBank) -> None:
    scene = street(3, persons=0)
    full = np.full_like(scene.class_ids, BUILDING)
    points, _ = paste_objects(scene.points, full, bank, PASTE, np.random.default_rng(0))
    assert len(points) == len(scene.points)
    everywhere = scene.points[scene.class_ids == ROAD] + np.array([0, 0, 1, 0], np.float32)
    points = np.concatenate([scene.points, everywhere])
    class_ids = np.concatenate([scene.class_ids, np.full(len(everywhere), 255, np.uint8)])
    pasted, _ = paste_objects(points, class_ids, bank, PASTE, np.random.default_rng(0))
    assert len(pasted) == len(points)


def test_classes_are_drawn_evenly_and_their_number_is_the_mean() -> None:
    cloud = street(1, persons=9)
    class_ids = np.where(cloud.instance_ids == 9, TRUCK, cloud.class_ids).astype(np.uint8)
    bank = object_bank([LabelledPoints(cloud.points, class_ids, cloud.instance_ids)], SEMANTIC_KITTI)
    assert sorted(map(len, bank.objects)) == [1, 8]
    scene, counts = street(3, persons=0), []
    for seed in range(60):
        _, labels = paste_objects(scene.points, scene.class_ids, bank, PASTE, np.random.default_rng(seed))
        counts.append([(labels == PERSON).sum() / 60, (labels == TRUCK).sum() / 60])
    persons, trucks = np.mean(counts, 0)
    assert 0.7 < trucks / persons < 1.4
    assert 4.5 < persons + trucks < 6.6


def test_small_and_common_objects_and_unknown_instances_are_not_collected() -> None:
    cloud = street(1)
    few = cloud.instance_ids.copy()
    few[np.flatnonzero(few == 1)[MIN_POINTS - 1 :]] = 0
    bank = object_bank([LabelledPoints(cloud.points, cloud.class_ids, few)], SEMANTIC_KITTI)
    assert [len(items) for items in bank.objects] == [2]
    cars = np.where(cloud.class_ids == PERSON, 0, cloud.class_ids).astype(np.uint8)
    assert object_bank([LabelledPoints(cloud.points, cars, cloud.instance_ids)], SEMANTIC_KITTI).objects == ()
    assert object_bank([LabelledPoints(cloud.points, cloud.class_ids)], SEMANTIC_KITTI).objects == ()


def test_a_batch_with_objects_is_the_seed_alone(settings: TrainingSettings) -> None:
    clouds = [street(seed) for seed in (1, 2)]
    bank = object_bank(clouds, SEMANTIC_KITTI)
    more = settings.model_copy(update={"augmentation": PASTE})
    first, again = (make_batch([4, 5], clouds, more, object_bank(clouds, SEMANTIC_KITTI)) for _ in range(2))
    assert first.features.equal(again.features)
    assert first.classes.equal(again.classes)
    without = make_batch([4, 5], clouds, settings, bank)
    assert (first.classes == PERSON).sum() > (without.classes == PERSON).sum()


def test_nothing_to_paste_stops_the_training(settings: TrainingSettings) -> None:
    clouds = [LabelledPoints(street(1).points, street(1).class_ids)]
    more = settings.model_copy(update={"augmentation": PASTE})
    with pytest.raises(ConfigurationError, match="no objects to paste"):
        next(prefetched([[0, 1]], clouds, more))
