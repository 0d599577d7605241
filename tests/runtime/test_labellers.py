from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perception.bundle.format import BlockSettings
from perception.classes import IGNORED
from perception.runtime import StageTimer
from perception.runtime.labellers import BlockLabeller, VoxelLabeller

CLASSES = 4


def street(points: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.uniform(-1, 1, (points, 4)) * [20, 20, 1, 0]).astype(np.float32)


def scores_for(class_ids: np.ndarray) -> np.ndarray:
    return np.where(np.arange(CLASSES) == class_ids[:, None], np.float32(5), np.float32(0))


def by_column(coords: np.ndarray, features: np.ndarray, timer: StageTimer) -> np.ndarray:
    """The class of a voxel is its x, modulo the number of classes."""
    return scores_for(coords[:, 1] % CLASSES)


def column_of(points: np.ndarray, voxel_size_m: float) -> np.ndarray:
    columns = np.rint(points[:, 0] / np.float32(voxel_size_m)).astype(int)
    return (columns - columns.min()) % CLASSES


def test_each_point_gets_the_label_of_its_voxel() -> None:
    points = street(5000)
    class_ids, probabilities = VoxelLabeller(by_column, 0.5).label(points, StageTimer())
    np.testing.assert_array_equal(class_ids, column_of(points, 0.5))
    np.testing.assert_allclose(probabilities, 1 / (1 + 3 * np.exp(-5)), rtol=1e-6)
    assert (class_ids.dtype, probabilities.dtype) == (np.uint8, np.float32)


def test_voxels_beyond_the_capacity_stay_unlabelled() -> None:
    points = street(5000)
    seen: list[int] = []

    def score(coords: np.ndarray, features: np.ndarray, timer: StageTimer) -> np.ndarray:
        seen.append(len(coords))
        return by_column(coords, features, timer)

    class_ids, probabilities = VoxelLabeller(score, 0.5, capacity=100).label(points, StageTimer())
    _, first, inverse = np.unique(
        np.rint(points[:, :3] / np.float32(0.5)), axis=0, return_index=True, return_inverse=True
    )
    among_the_first = np.isin(inverse.ravel(), np.argsort(first)[:100])
    assert seen == [100]
    np.testing.assert_array_equal(class_ids == IGNORED, ~among_the_first)
    assert (probabilities[~among_the_first] == 0).all()
    np.testing.assert_array_equal(class_ids[among_the_first], column_of(points, 0.5)[among_the_first])


@pytest.mark.parametrize("column", range(4))
def test_values_that_are_not_finite_are_refused(column: int) -> None:
    points = street(100)
    points[7, column] = np.nan
    for labeller in (VoxelLabeller(by_column, 0.5), BlockLabeller(by_position, blocks())):
        with pytest.raises(ValueError, match=r"NaN|finite|infinite"):
            labeller.label(points, StageTimer())


def blocks(**values: Any) -> BlockSettings:
    return BlockSettings(**({"size_m": 8.0, "margin_m": 1.0, "height_m": (-3.0, 3.0), "points": 300} | values))


def by_position(points: np.ndarray, timer: StageTimer) -> np.ndarray:
    """Class 1 in the half of a block with larger x, else 2."""
    wanted = np.where(points[:, 0] > 0, 1, 2)
    return np.stack([scores_for(row).T for row in wanted])


def test_each_point_is_labelled_by_the_block_that_it_lies_in() -> None:
    points = street(5000)
    class_ids, probabilities = BlockLabeller(by_position, blocks()).label(points, StageTimer())
    middle = (np.floor(points[:, 0].astype(float) / 8) + 0.5) * 8
    np.testing.assert_array_equal(class_ids, np.where(points[:, 0] > middle, 1, 2))
    assert (probabilities > 0.9).all()


def test_stages_are_timed() -> None:
    timer = StageTimer()
    BlockLabeller(by_position, blocks()).label(street(500), timer)
    assert list(timer.stage_ms) == ["blocks", "features", "labels"]
