"""A detector from points to boxes on the emulated GPU, with a stand-in for TensorRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception.runtime import load_engine, start_engine
from perception.runtime.dense import engines
from perception.runtime.dense.build import build_only
from perception.runtime.device import place as places
from perception.runtime.device.device import Device
from perception.types import DetectedObjects, Frame, PointCloud
from tests.bundle.detector_graphs import write_checked_detector, write_detector
from tests.runtime.dense.stand_in import Context, stand_in


@pytest.fixture
def installed(gpu: Device, driver: Any, device: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Device:
    """A machine with the stand-ins as its GPU and TensorRT."""
    for module in (places, engines):
        monkeypatch.setattr(module, "open_device", lambda index: gpu)
    monkeypatch.setattr(engines, "find_tensorrt", stand_in)
    monkeypatch.setattr(Context, "launch", staticmethod(driver.kernel))
    monkeypatch.setenv("PERCEPTION_ENGINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("perception.runtime.object_finder.WARM_UP_POINTS", 100)
    return gpu


def cloud(points: int, seed: int) -> Frame:
    values = np.random.default_rng(seed).uniform([-4, -4, -2, 0], [4, 4, 2, 1], (points, 4))
    return Frame(PointCloud(values.astype(np.float32)))


def assert_close(found: DetectedObjects, expected: DetectedObjects) -> None:
    assert found.boxes.class_names == expected.boxes.class_names
    for name in ("centers", "sizes", "yaws", "scores", "velocities"):
        np.testing.assert_allclose(getattr(found.boxes, name), getattr(expected.boxes, name), atol=1e-4, err_msg=name)


@pytest.mark.emulation
def test_boxes_are_those_of_the_cpu(installed, driver, tmp_path):
    bundle = write_detector(tmp_path / "bundle")
    assert [region.file for region in build_only(bundle)] == ["head.onnx"]
    cpu, gpu = load_engine(bundle), load_engine(bundle, "cuda")
    for seed, points in enumerate((200, 1, 0, 300)):
        expected, found = cpu.forward(cloud(points, seed)), gpu.forward(cloud(points, seed))
        assert_close(found, expected)
        assert list(found.stage_ms) == list(expected.stage_ms)
    gpu.close()
    del gpu
    assert installed.pool.used_bytes == 0
    assert driver.errors == []


@pytest.mark.emulation
def test_a_bundle_that_was_exported_on_a_cpu_passes_its_self_check_on_a_gpu(installed, tmp_path):
    engine = start_engine(write_checked_detector(tmp_path / "bundle"), "cuda", task="detection")
    assert len(engine.forward(cloud(50, 0))) > 0
    engine.close()


@pytest.mark.emulation
def test_a_cloud_with_a_wrong_value_is_refused_and_the_next_one_is_searched(installed, tmp_path):
    engine = load_engine(write_detector(tmp_path / "bundle"), "cuda")
    wrong = cloud(50, 0)
    wrong.cloud.points[7, 1] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite"):
        engine.forward(wrong)
    assert len(engine.forward(cloud(50, 0))) > 0
    engine.close()
