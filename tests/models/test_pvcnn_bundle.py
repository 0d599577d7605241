"""The PVCNN in the repository: small, documented, as good as it says, and run by the same engine as the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from perception.bundle.format import WEIGHTS_FILE
from perception.classes import SEMANTIC_KITTI_CLASSES
from perception.data.simulation import simulate_drive
from perception.evaluation.metrics.confusion import ConfusionMatrix
from perception.runtime import Engine, load_engine
from perception.types import Frame, PointCloud


@pytest.fixture(scope="module")
def folder(top: Path) -> Path:
    return top / "config" / "models" / "pvcnn_street"


@pytest.fixture(scope="module")
def engine(folder: Path) -> Engine:
    return load_engine(folder)


@pytest.fixture
def points() -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.column_stack([rng.uniform(-10, 10, (3000, 2)), rng.uniform(-2, 3, 3000), rng.random(3000)]).astype("f4")


def test_it_is_small_and_says_where_it_comes_from(folder: Path, engine: Engine) -> None:
    assert (folder / WEIGHTS_FILE).stat().st_size < 4_000_000
    description = engine.description
    assert description.classes == SEMANTIC_KITTI_CLASSES
    assert description.license == "Apache-2.0"
    assert description.origin.startswith("perception train pvcnn_street")


def test_every_point_is_labelled(engine: Engine, points: np.ndarray) -> None:
    result = engine.forward(Frame(PointCloud(points)))
    assert result.class_ids.shape == result.probabilities.shape == (3000,)
    assert result.class_ids.dtype == np.uint8
    assert result.probabilities.dtype == np.float32
    assert result.class_ids.max() < len(SEMANTIC_KITTI_CLASSES)
    assert ((result.probabilities >= 1 / len(SEMANTIC_KITTI_CLASSES)) & (result.probabilities <= 1)).all()
    assert list(result.stage_ms) == ["blocks", "features", "maps", "network", "labels"]


def test_a_read_only_strided_view_is_taken_as_it_is(engine: Engine, points: np.ndarray) -> None:
    message = np.zeros((len(points), 6), np.float32)
    message[:, 1:5] = points
    view = np.frombuffer(message.tobytes(), np.float32).reshape(-1, 6)[:, 1:5]
    result = engine.forward(Frame(PointCloud(view)))
    np.testing.assert_array_equal(result.class_ids, engine.forward(Frame(PointCloud(points))).class_ids)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_very_few_points(engine: Engine, points: np.ndarray, count: int) -> None:
    assert len(engine.forward(Frame(PointCloud(points[:count])))) == count


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("column", [0, 2, 3])
def test_non_finite_values_are_refused(engine: Engine, points: np.ndarray, value: float, column: int) -> None:
    points[7, column] = value
    with pytest.raises(ValueError, match="NaN"):
        engine.forward(Frame(PointCloud(points)))


def test_it_labels_drives_that_training_never_saw(engine: Engine) -> None:
    confusion = ConfusionMatrix(len(SEMANTIC_KITTI_CLASSES))
    for seed in (4, 31):
        for moment in simulate_drive(seed=seed, sensor="hdl64e", frames=1):
            assert moment.class_ids is not None
            confusion.add(moment.class_ids, engine.forward(moment.frame).class_ids)
    # Two sweeps have other classes than eighteen: some slack on what was measured on those.
    assert confusion.mean_iou() > float(engine.description.measured["mean_iou"]) - 0.15
    assert confusion.accuracy() > 0.7
