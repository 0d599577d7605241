"""The engine: any cloud in, a label for every point out."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from perception import ops
from perception.configuration import ConfigurationError
from perception.models.engine import TorchSegmentationEngine
from perception.runtime import Engine, load_engine
from perception.types import Frame, PointCloud


@pytest.fixture(scope="module")
def engine(top: Path) -> Engine:
    return load_engine(top / "config" / "models" / "spvcnn_street")


@pytest.fixture
def points() -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.column_stack([rng.uniform(-10, 10, (3000, 2)), rng.uniform(-2, 3, 3000), rng.random(3000)]).astype("f4")


def test_every_point_is_labelled(engine: Engine, points: np.ndarray) -> None:
    result = engine.forward(Frame(PointCloud(points)))
    assert len(result.class_ids) == len(result.probabilities) == len(points)
    assert result.class_ids.dtype == np.uint8
    assert result.probabilities.dtype == np.float32
    assert result.class_ids.max() < len(engine.description.classes)
    assert (result.probabilities >= 1 / len(engine.description.classes)).all()
    assert (result.probabilities <= 1).all()
    assert list(result.stage_ms) == ["voxelize", "maps", "network", "labels"]


def test_points_of_one_voxel_share_its_label(engine: Engine, points: np.ndarray) -> None:
    twice = np.repeat(points, 2, axis=0)
    result = engine.forward(Frame(PointCloud(twice)))
    np.testing.assert_array_equal(result.class_ids[0::2], result.class_ids[1::2])


def test_a_read_only_strided_view_is_taken_as_it_is(engine: Engine, points: np.ndarray) -> None:
    message = np.zeros((len(points), 6), np.float32)
    message[:, 1:5] = points
    view = np.frombuffer(message.tobytes(), np.float32).reshape(-1, 6)[:, 1:5]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = engine.forward(Frame(PointCloud(view)))
    np.testing.assert_array_equal(result.class_ids, engine.forward(Frame(PointCloud(points))).class_ids)


def test_an_empty_cloud_gives_an_empty_result(engine: Engine) -> None:
    result = engine.forward(Frame(PointCloud(np.empty((0, 4), np.float32))))
    assert len(result) == 0
    assert result.class_ids.dtype == np.uint8


@pytest.mark.parametrize("count", [1, 2])
def test_very_few_points(engine: Engine, points: np.ndarray, count: int) -> None:
    assert len(engine.forward(Frame(PointCloud(points[:count])))) == count


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", [0, 3])
def test_non_finite_values_are_refused(engine: Engine, points: np.ndarray, value: float, column: int) -> None:
    points[7, column] = value
    with pytest.raises(ValueError, match="NaN"):
        engine.forward(Frame(PointCloud(points)))


@pytest.mark.parametrize("wrong", [np.zeros((5, 3), np.float32), np.zeros((5, 4)), np.zeros(4, np.float32)])
def test_other_layouts_are_refused(engine: Engine, wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"float32 \[N, 4\]"):
        engine.forward(Frame(PointCloud(wrong)))


def test_a_device_that_it_does_not_have(engine: Engine, top: Path) -> None:
    with pytest.raises(ConfigurationError, match="'cpu' only"):
        TorchSegmentationEngine(top / "config" / "models" / "spvcnn_street", engine.description, "cuda")


def test_a_network_of_other_features_is_refused(engine: Engine, top: Path) -> None:
    network = engine.description.network.model_copy(update={"input_channels": 5})
    description = engine.description.model_copy(update={"network": network})
    with pytest.raises(ConfigurationError, match="takes 5 features a voxel"):
        TorchSegmentationEngine(top / "config" / "models" / "spvcnn_street", description)


def test_the_number_of_threads(engine: Engine, top: Path, points: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", str(before))
    try:
        single = TorchSegmentationEngine(top / "config" / "models" / "spvcnn_street", engine.description, threads=1)
        assert torch.get_num_threads() == ops.default_threads() == 1
        result = single.forward(Frame(PointCloud(points)))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(result.probabilities, engine.forward(Frame(PointCloud(points))).probabilities, rtol=1e-3)


def test_the_real_scan(engine: Engine, semantic_kitti_scan: Path) -> None:
    scan = np.fromfile(semantic_kitti_scan, np.float32).reshape(-1, 4)
    assert len(engine.forward(Frame(PointCloud(scan)))) == 123_389
