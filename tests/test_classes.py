"""Label maps and ignore rules, against cases worked out by hand from the benchmarks' published rules."""

from __future__ import annotations

import numpy as np
import pytest

from perception.classes import (
    IGNORED,
    NUSCENES_LIDARSEG,
    SEMANTIC_KITTI,
    ClassSet,
    class_set_named,
    semantic_kitti_classes_of,
)
from perception.evaluation.metrics.confusion import ConfusionMatrix

#: The 32 categories of nuScenes-lidarseg in the order of their indices, each with its class in the challenge.
NUSCENES_CATEGORIES = """
noise -, animal -, human.pedestrian.adult pedestrian, human.pedestrian.child pedestrian,
human.pedestrian.construction_worker pedestrian, human.pedestrian.personal_mobility -,
human.pedestrian.police_officer pedestrian, human.pedestrian.stroller -, human.pedestrian.wheelchair -,
movable_object.barrier barrier, movable_object.debris -, movable_object.pushable_pullable -,
movable_object.trafficcone traffic_cone, static_object.bicycle_rack -, vehicle.bicycle bicycle, vehicle.bus.bendy bus,
vehicle.bus.rigid bus, vehicle.car car, vehicle.construction construction_vehicle, vehicle.emergency.ambulance -,
vehicle.emergency.police -, vehicle.motorcycle motorcycle, vehicle.trailer trailer, vehicle.truck truck,
flat.driveable_surface driveable_surface, flat.other other_flat, flat.sidewalk sidewalk, flat.terrain terrain,
static.manmade manmade, static.other -, static.vegetation vegetation, vehicle.ego -
"""


def test_every_nuscenes_category_has_the_class_of_the_challenge() -> None:
    categories = [entry.split() for entry in NUSCENES_CATEGORIES.replace("\n", " ").split(",")]
    assert len(categories) == 32
    class_ids = NUSCENES_LIDARSEG.of_raw(np.arange(32, dtype=np.uint8))
    for (category, name), class_id in zip(categories, class_ids.tolist(), strict=True):
        assert (NUSCENES_LIDARSEG.names[class_id] if class_id != IGNORED else "-") == name, category


def test_moving_objects_of_semantic_kitti_have_the_class_of_those_that_stand() -> None:
    still, moving = [10, 18, 20, 16, 13, 30, 31, 32], [252, 258, 259, 256, 257, 254, 253, 255]
    names = ["car", "truck", *["other-vehicle"] * 3, "person", "bicyclist", "motorcyclist"]
    for raw_ids in (still, moving):
        words = np.array(raw_ids, np.uint32) | np.uint32(7 << 16)
        assert [SEMANTIC_KITTI.names[class_id] for class_id in semantic_kitti_classes_of(words)] == names


def test_what_no_class_covers_is_ignored() -> None:
    for raw_id in (0, 1, 52, 99, 77, 1000):
        assert semantic_kitti_classes_of(np.array([raw_id], np.uint32)).tolist() == [IGNORED]
    assert NUSCENES_LIDARSEG.of_raw(np.array([32, 100, 255], np.uint8)).tolist() == [IGNORED] * 3


@pytest.mark.parametrize(("classes", "count"), [(SEMANTIC_KITTI, 19), (NUSCENES_LIDARSEG, 16)])
def test_a_class_set_is_consistent(classes: ClassSet, count: int) -> None:
    assert len(classes) == len(set(classes.names)) == len(classes.colors) == count
    assert set(classes.raw_ids.values()) == set(range(count))
    assert not set(classes.ground) & set(classes.rare)
    assert [classes.names[class_id] for class_id in classes.ids(classes.rare)] == list(classes.rare)
    assert class_set_named(classes.names) is classes
    with pytest.raises(ValueError, match="unicorn"):
        classes.ids(("unicorn",))


def test_other_classes_belong_to_no_set() -> None:
    assert class_set_named(("car", "cat")) is None
    assert class_set_named(SEMANTIC_KITTI.names[::-1]) is None


def test_semantic_kitti_scores_by_its_rules() -> None:
    """Points without truth do not count; points left without label are misses, but nobody's false alarms."""
    truth = semantic_kitti_classes_of(np.array([10, 252, 10, 10, 40, 60, 40, 0, 52, 1], np.uint32))
    predicted = semantic_kitti_classes_of(np.array([10, 10, 40, 0, 40, 40, 10, 10, 40, 0], np.uint32))
    confusion = ConfusionMatrix(len(SEMANTIC_KITTI))
    confusion.add(truth, predicted)
    car, road = (SEMANTIC_KITTI.names.index(name) for name in ("car", "road"))
    # car: 2 right, 2 missed (one to road, one unlabelled), 1 false (from road). road: 2 right, 1 missed, 1 false.
    assert confusion.iou()[[car, road]].tolist() == [2 / 5, 2 / 4]
    assert confusion.mean_iou() == pytest.approx((2 / 5 + 2 / 4) / 2)


def test_nuscenes_scores_by_its_rules() -> None:
    """Noise and what the challenge leaves out do not count, whatever is said of them."""
    truth = NUSCENES_LIDARSEG.of_raw(np.array([17, 17, 19, 0, 31, 2, 3, 6, 7, 24, 25], np.uint8))
    predicted = NUSCENES_LIDARSEG.of_raw(np.array([17, 2, 17, 2, 24, 2, 4, 24, 2, 24, 24], np.uint8))
    confusion = ConfusionMatrix(len(NUSCENES_LIDARSEG))
    confusion.add(truth, predicted)
    names = ("car", "pedestrian", "driveable_surface", "other_flat")
    # car 1 of 2; pedestrians 2 right, 1 missed, 1 false; the road 1 right, 2 false; other flat ground 0 of 1.
    expected = [1 / 2, 2 / 4, 1 / 3, 0.0]
    assert [confusion.iou()[NUSCENES_LIDARSEG.names.index(name)] for name in names] == expected
    assert confusion.mean_iou() == pytest.approx(np.mean(expected))
    assert confusion.occurs.sum() == 4
