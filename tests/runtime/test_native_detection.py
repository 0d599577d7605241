"""The engine of detectors, from a cloud to boxes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from perception.bundle.files import BundleFiles
from perception.bundle.format import DESCRIPTION_FILE, read_any_description
from perception.configuration import ConfigurationError
from perception.runtime import load_engine, start_engine
from perception.runtime.native_detection import NativeDetectionEngine
from perception.types import DetectedObjects, Frame, PointCloud
from tests.bundle.detector_graphs import POINT_CHANNELS, RANGE_M, write_detector
from tests.bundle.graphs import CLASSES, write_unet


def cloud(points: int, seed: int = 0) -> Frame:
    unit = np.random.default_rng(seed).uniform(0, 1, (points, POINT_CHANNELS))
    low, high = np.array([*RANGE_M[:3], 0]), np.array([*RANGE_M[3:], 1])
    return Frame(PointCloud((low + unit * (high - low)).astype(np.float32)))


def assert_same(found: DetectedObjects, expected: DetectedObjects) -> None:
    for name in ("centers", "sizes", "yaws", "scores", "velocities"):
        np.testing.assert_array_equal(getattr(found.boxes, name), getattr(expected.boxes, name))
    assert found.boxes.class_names == expected.boxes.class_names


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_detector(tmp_path_factory.mktemp("detector"))


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[NativeDetectionEngine]:
    engine = load_engine(folder, threads=1)
    assert isinstance(engine, NativeDetectionEngine)
    yield engine
    engine.close()


def test_boxes_have_everything(engine: NativeDetectionEngine) -> None:
    found = engine.forward(cloud(300))
    boxes = found.boxes
    assert len(found) == len(boxes) > 10
    assert set(boxes.class_names) <= set(CLASSES)
    assert boxes.centers.shape == boxes.sizes.shape == (len(boxes), 3)
    assert boxes.yaws.shape == boxes.scores.shape == (len(boxes),)
    assert boxes.velocities.shape == (len(boxes), 2)
    assert ((boxes.scores > 0.05) & (boxes.scores <= 1)).all()
    assert (np.abs(boxes.yaws) <= np.pi).all()
    assert list(found.stage_ms) == ["points", "maps", "network", "boxes"]


def test_boxes_come_class_by_class_and_best_first(engine: NativeDetectionEngine) -> None:
    boxes = engine.forward(cloud(300)).boxes
    labels = [CLASSES.index(name) for name in boxes.class_names]
    order = sorted(range(len(boxes)), key=lambda row: (labels[row], -boxes.scores[row]))
    assert order == list(range(len(boxes)))


@pytest.mark.parametrize("points", [1, 3, 1500])
def test_few_and_many_points(engine: NativeDetectionEngine, points: int) -> None:
    boxes = engine.forward(cloud(points)).boxes
    assert np.isfinite(boxes.centers).all()


def test_nothing_to_see_gives_no_boxes(engine: NativeDetectionEngine) -> None:
    far = np.array([[100, 0, 0, 0], [0, 0, 50, 0], [4, 0, 0, 0]], np.float32)
    for points in (np.empty((0, 4), np.float32), far):
        found = engine.forward(Frame(PointCloud(points)))
        assert len(found) == 0
        assert found.boxes.centers.shape == found.boxes.sizes.shape == (0, 3)
        assert found.boxes.class_names == ()


def test_points_out_of_range_change_nothing(engine: NativeDetectionEngine) -> None:
    frame = cloud(300)
    far = np.full((40, 4), 30, np.float32)
    more = Frame(PointCloud(np.concatenate([far, frame.cloud.points])))
    assert_same(engine.forward(more), engine.forward(frame))


def test_a_read_only_strided_view_is_taken_as_it_is(engine: NativeDetectionEngine) -> None:
    frame = cloud(300)
    wide = np.full((300, 6), 9, np.float32)
    wide[:, 1:5] = frame.cloud.points
    wide.flags.writeable = False
    assert_same(engine.forward(Frame(PointCloud(wide[:, 1:5]))), engine.forward(frame))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", [0, 3])
def test_non_finite_values_are_refused(engine: NativeDetectionEngine, value: float, column: int) -> None:
    frame = cloud(50)
    frame.cloud.points[7, column] = value
    with pytest.raises(ValueError, match="NaN or infinite"):
        engine.forward(frame)
    assert len(engine.forward(cloud(50))) > 0


@pytest.mark.parametrize("wrong", [np.zeros((5, 5), np.float32), np.zeros((5, 4)), np.zeros(4, np.float32)])
def test_other_layouts_are_refused(engine: NativeDetectionEngine, wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected float32 \[N, 4\]"):
        engine.forward(Frame(PointCloud(wrong)))


def test_many_points(engine: NativeDetectionEngine) -> None:
    assert len(engine.forward(cloud(300_000))) > 0


def test_more_points_than_the_capacity_are_thinned_evenly(tmp_path: Path, folder: Path) -> None:
    frame = cloud(300)
    engine = load_engine(write_detector(tmp_path, capacity_points=100), threads=1)
    every_third = Frame(PointCloud(frame.cloud.points[::3]))
    whole = load_engine(folder, threads=1)
    assert_same(engine.forward(frame), whole.forward(every_third))


def test_warming_up_needs_no_frame(folder: Path) -> None:
    engine = start_engine(folder, threads=1, task="detection")
    engine.warm_up()
    engine.close()


def test_another_task_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"is for detection; name a bundle for segmentation$"):
        load_engine(folder, task="segmentation")
    with pytest.raises(ConfigurationError, match=r"is for segmentation; name a bundle for detection$"):
        start_engine(write_unet(tmp_path), task="detection")


def test_an_engine_of_another_package_must_be_installed(tmp_path: Path) -> None:
    folder = write_detector(tmp_path, engine="torch")
    assert read_any_description(BundleFiles(folder, DESCRIPTION_FILE)).engine == "torch"
    with pytest.raises(ConfigurationError, match=r"engine 'torch' is not installed \(installed: native\)"):
        load_engine(folder)
