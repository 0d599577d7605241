"""A bundle from points to labels on the emulated GPU, as a node runs it."""

from __future__ import annotations

import gc
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception.configuration import ConfigurationError
from perception.ops import binding, tuning
from perception.runtime import load_engine
from perception.runtime.device import device as devices
from perception.runtime.device import place as places
from perception.runtime.device.device import Device
from perception.runtime.device.driver import no_driver
from perception.types import Frame, PointCloud
from tests.bundle.graphs import write_unet

ALL = tuning.candidates


@pytest.fixture
def installed(gpu: Device, device: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Device:
    """A machine with the stand-in as its GPU, on which few ways to compute a convolution are tried."""
    monkeypatch.setattr(places, "open_device", lambda index: gpu)
    monkeypatch.setattr(tuning, "candidates", lambda channels: itertools.islice(ALL(channels), 2))
    monkeypatch.setenv("PERCEPTION_ENGINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("perception.runtime.labellers.WARM_UP_POINTS", 300)
    return gpu


def cloud(points: int, seed: int = 0) -> Frame:
    values = np.random.default_rng(seed).uniform(-2, 2, (points, 4)).astype(np.float32)
    return Frame(PointCloud(values))


@pytest.mark.emulation
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_labels_are_those_of_the_cpu(installed, driver, tmp_path, dtype):
    bundle = write_unet(tmp_path / "bundle", dtype=dtype)
    cpu, gpu = load_engine(bundle), load_engine(bundle, "cuda")
    for seed, points in enumerate((400, 1, 700)):
        expected, found = cpu.forward(cloud(points, seed)), gpu.forward(cloud(points, seed))
        same = found.class_ids == expected.class_ids
        assert same.mean() >= (1 if dtype == "float32" else 0.99)
        tolerance = 1e-4 if dtype == "float32" else 2e-2
        np.testing.assert_allclose(found.probabilities[same], expected.probabilities[same], atol=tolerance)
        assert list(found.stage_ms) == list(expected.stage_ms)
        assert all(ms > 0 for ms in found.stage_ms.values())
    gpu.close()
    del gpu
    assert installed.pool.used_bytes == 0
    assert driver.errors == []


@pytest.mark.emulation
def test_convolutions_are_measured_while_warming_up_only(installed, tmp_path):
    bundle = write_unet(tmp_path / "bundle")
    engine = load_engine(bundle, "cuda:0")
    engine.forward(cloud(300))
    kept = tmp_path / "cache" / f"convolution_stand_in_sm_87_v{binding.INTERFACE_VERSION}.json"
    assert not kept.exists()
    engine.warm_up()
    found = kept.read_text()
    assert "8->8 volume 27 float32" in found
    engine.forward(cloud(30))
    assert kept.read_text() == found
    engine.close()


@pytest.mark.emulation
def test_two_engines_share_the_gpu(installed, tmp_path):
    bundle = write_unet(tmp_path / "bundle")
    first, second = load_engine(bundle, "cuda"), load_engine(bundle, "cuda")
    expected = load_engine(bundle).forward(cloud(200)).class_ids
    np.testing.assert_array_equal(first.forward(cloud(200)).class_ids, expected)
    first.close()
    np.testing.assert_array_equal(second.forward(cloud(200)).class_ids, expected)
    second.close()


@pytest.mark.emulation
def test_bundles_that_are_swapped_leave_nothing_behind(installed, driver, tmp_path):
    bundle = write_unet(tmp_path / "bundle")
    running, found = load_engine(bundle, "cuda"), set()
    for number in range(8):
        following = load_engine(bundle, "cuda")
        following.warm_up()
        running.forward(cloud(50, number))
        running.close()
        running = following
        gc.collect()
        found.add((driver.allocated_bytes - installed.pool.kept_bytes, len(driver._clocks), len(driver._events)))
    assert len(found) == 1, "memory, streams and events"
    running.close()


@pytest.mark.emulation
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_cloud_with_a_wrong_value_is_refused_and_the_next_one_is_labelled(installed, tmp_path, value):
    engine = load_engine(write_unet(tmp_path / "bundle"), "cuda")
    wrong = cloud(50)
    wrong.cloud.points[7, 1] = value
    with pytest.raises(ValueError, match=r"NaN|infinite"):
        engine.forward(wrong)
    assert len(engine.forward(cloud(50)).class_ids) == 50
    engine.close()


def test_kernels_without_cuda_are_said_to_be(tmp_path, monkeypatch):
    monkeypatch.setattr(binding, "has_cuda", lambda: False)
    with pytest.raises(ConfigurationError, match=r"^device 'cuda': the kernels were built without CUDA; .* use 'cpu'$"):
        load_engine(write_unet(tmp_path / "bundle"), "cuda")


def test_without_a_gpu_one_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(binding, "has_cuda", lambda: True)

    def none_here(index: int) -> None:
        raise no_driver()

    monkeypatch.setattr(devices, "find_driver", none_here)
    devices._open.cache_clear()
    with pytest.raises(ConfigurationError, match=r"^device 'cuda': no NVIDIA driver on this machine; use 'cpu'$"):
        load_engine(write_unet(tmp_path / "bundle"), "cuda")
    with pytest.raises(ConfigurationError, match=r"^device 'tpu': expected cpu, cuda, or cuda:N"):
        load_engine(write_unet(tmp_path / "bundle"), "tpu")
