"""A network with dense regions from points to labels on the emulated GPU, with a stand-in for TensorRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception.runtime import load_engine
from perception.runtime.dense import engines
from perception.runtime.dense.build import build_only
from perception.runtime.device import place as places
from perception.runtime.device.device import Device
from perception.types import Frame, PointCloud
from tests.bundle.block_graphs import write_block_network
from tests.runtime.dense.stand_in import Context, stand_in


@pytest.fixture
def installed(gpu: Device, driver: Any, device: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Device:
    """A machine with the stand-ins as its GPU and TensorRT."""
    for module in (places, engines):
        monkeypatch.setattr(module, "open_device", lambda index: gpu)
    monkeypatch.setattr(engines, "find_tensorrt", stand_in)
    monkeypatch.setattr(Context, "launch", staticmethod(driver.kernel))
    monkeypatch.setenv("PERCEPTION_ENGINE_CACHE", str(tmp_path / "cache"))
    return gpu


def cloud(points: int, seed: int) -> Frame:
    return Frame(PointCloud(np.random.default_rng(seed).uniform(-12, 12, (points, 4)).astype(np.float32)))


@pytest.mark.emulation
def test_labels_are_those_of_the_cpu(installed, driver, tmp_path):
    bundle = write_block_network(tmp_path / "bundle")
    assert [region.file for region in build_only(bundle)] == ["points.onnx", "volume.onnx", "classifier.onnx"]
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cache").glob("*.engine")}
    cpu, gpu = load_engine(bundle), load_engine(bundle, "cuda")
    assert len(kept) == len(list((tmp_path / "cache").glob("*.engine"))) == 3, "the engines were ready"
    for seed, points in enumerate((700, 1, 1500)):
        expected, found = cpu.forward(cloud(points, seed)), gpu.forward(cloud(points, seed))
        np.testing.assert_array_equal(found.class_ids, expected.class_ids)
        np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-4)
    gpu.close()
    del gpu
    assert installed.pool.used_bytes == 0
    assert driver.errors == []
