"""A whole graph on the emulated GPU, through the stand-in driver that watches streams and memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perception.bundle.graph import parse_graph
from perception.bundle.operations import check_graph
from perception.runtime import StageTimer
from perception.runtime.device.arrays import DeviceArray
from perception.runtime.device.device import Device
from perception.runtime.device.place import GpuPlace
from perception.runtime.executor import GraphExecutor
from perception.runtime.steps import Setting
from tests.runtime.device.host_driver import HostDriver
from tests.runtime.test_executor import GRAPH, TENSORS, executor_of, made_up_frame

pytestmark = pytest.mark.emulation


@pytest.fixture
def place(gpu: Device, device: Any) -> GpuPlace:
    return GpuPlace(gpu)


def on_gpu(place: GpuPlace, graph: dict[str, Any] = GRAPH) -> GraphExecutor:
    shapes = {name: tensor.shape for name, tensor in TENSORS.items()}
    checked = check_graph(parse_graph(graph, "graph.json"), shapes, "graph.json")
    return GraphExecutor(checked, Setting(TENSORS, place, 1, {}))


def uploaded(place: GpuPlace, frame: dict[str, np.ndarray]) -> dict[str, DeviceArray]:
    return {name: place.upload(array) for name, array in frame.items()}


def test_every_value_is_what_the_cpu_computes(place):
    frame, names = made_up_frame(400), ["x2", "x5", "p1", "m", "t2"]
    expected = executor_of().run(frame, keep=names)
    found = on_gpu(place).run(uploaded(place, frame), keep=names)
    assert isinstance(found["scores"], DeviceArray)
    np.testing.assert_array_equal(found["t2"], expected["t2"])
    for name in (*names, "scores"):
        value = place.download(found[name])
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=1e-5 * np.abs(expected[name]).max())


def test_frames_of_any_size_follow_each_other_and_leave_no_memory_behind(place, gpu, driver):
    cpu, executor = executor_of(), on_gpu(place)
    used = []
    for number, voxels in enumerate([40, 300, 1, 200, 300, 40, 300]):
        frame = made_up_frame(voxels, seed=number)
        scores = place.download(executor.run(uploaded(place, frame))["scores"])
        expected = cpu.run(frame)["scores"]
        np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
        used.append(gpu.pool.used_bytes)
    assert len(set(used[1:])) == 1, "what a frame leaves behind is the arena, as large as the largest needs it"
    executor.close()
    del executor
    assert gpu.pool.used_bytes == 0
    place.close()


def test_engines_of_one_gpu_do_not_mix(gpu, device):
    places = [GpuPlace(gpu) for _ in range(2)]
    executors = [on_gpu(place) for place in places]
    frames = [made_up_frame(200, seed) for seed in (1, 2)]
    results = [
        executor.run(uploaded(place, frame)) for executor, place, frame in zip(executors, places, frames, strict=True)
    ]
    for place, result, frame in zip(places, results, frames, strict=True):
        expected = executor_of().run(frame)["scores"]
        np.testing.assert_allclose(
            place.download(result["scores"]), expected, rtol=0, atol=1e-5 * np.abs(expected).max()
        )


def test_stages_are_timed_as_on_the_cpu(place):
    timer = StageTimer()
    on_gpu(place).run(uploaded(place, made_up_frame(50)), timer)
    assert list(timer.stage_ms) == ["maps", "network"]


def test_the_harness_sees_an_executor_that_uses_a_stream_too_early(place, driver: HostDriver):
    executor, frame = on_gpu(place), uploaded(place, made_up_frame(50))
    with place.streams.fork("lidar"):
        scores = executor.run(frame)["scores"]
    with pytest.raises(AssertionError, match="without waiting"):
        scores.to_host()
    driver.errors.clear()
    place.streams.join("lidar")
    scores.to_host()
