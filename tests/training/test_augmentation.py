from __future__ import annotations

import numpy as np
import pytest

from perception.training.augmentation import augment
from perception.training.settings import AugmentationSettings

OFF = AugmentationSettings(scale=0, jitter_m=0, drop=0, intensity_scale=0, intensity_shift=0)


@pytest.fixture
def cloud() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-20, 20, (500, 3)), rng.random(500)]).astype(np.float32)
    return points, rng.integers(0, 19, 500).astype(np.uint8)


@pytest.mark.parametrize("seed", range(6))
def test_rotation_and_mirroring_keep_height_range_and_shape(cloud: tuple, seed: int) -> None:
    points, class_ids = cloud
    moved, labels = augment(points, class_ids, OFF, np.random.default_rng(seed))
    np.testing.assert_array_equal(labels, class_ids)
    np.testing.assert_array_equal(moved[:, 2:], points[:, 2:])
    np.testing.assert_allclose(np.hypot(*moved[:, :2].T), np.hypot(*points[:, :2].T), rtol=1e-5)
    assert not np.allclose(moved[:, 0], points[:, 0])


def test_half_of_the_clouds_are_mirrored(cloud: tuple) -> None:
    points, class_ids = cloud
    a, b = points[0, :2], points[1, :2]
    turns = []
    for seed in range(40):
        moved, _ = augment(points, class_ids, OFF, np.random.default_rng(seed))
        turns.append(np.sign(np.linalg.det(moved[:2, :2])) == np.sign(np.linalg.det(np.stack([a, b]))))
    assert 8 < sum(turns) < 32


def test_labels_stay_with_their_points(cloud: tuple) -> None:
    points, _ = cloud
    points[:, 2] = np.arange(500)
    labels = (np.arange(500) % 19).astype(np.uint8)
    settings = OFF.model_copy(update={"drop": 0.9})
    moved, kept = augment(points, labels, settings, np.random.default_rng(2))
    assert 0 < len(moved) < 500
    np.testing.assert_array_equal(kept, moved[:, 2] % 19)


def test_the_input_is_not_changed_and_chance_is_the_seed_alone(cloud: tuple) -> None:
    points, class_ids = cloud
    before = points.copy()
    points.flags.writeable = False
    first, _ = augment(points, class_ids, AugmentationSettings(), np.random.default_rng(5))
    second, _ = augment(points, class_ids, AugmentationSettings(), np.random.default_rng(5))
    np.testing.assert_array_equal(points, before)
    np.testing.assert_array_equal(first, second)
    assert 0 <= first[:, 3].min() <= first[:, 3].max() <= 1


def test_something_is_always_left() -> None:
    settings = AugmentationSettings(drop=0.99)
    for seed in range(30):
        points, class_ids = augment(
            np.ones((1, 4), np.float32), np.zeros(1, np.uint8), settings, np.random.default_rng(seed)
        )
        assert len(points) == len(class_ids) == 1
