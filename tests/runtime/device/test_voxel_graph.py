"""The sparse part of a voxel detector on the emulated GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perception.export.centerpoint import lower_centerpoint
from perception.runtime.device.device import Device
from perception.runtime.device.place import GpuPlace
from perception.runtime.executor import GraphExecutor
from perception.runtime.place import HOST, Place
from tests.models.test_centerpoint import cloud, drawn_network
from tests.runtime.device.encoders import encoder_at
from tests.runtime.device.host_driver import HostDriver

pytestmark = pytest.mark.emulation


def executor_at(place: Place) -> GraphExecutor:
    """All but the dense part."""
    network = drawn_network()
    return encoder_at(place, network, lower_centerpoint(network))


def test_the_map_is_that_of_the_cpu(gpu: Device, driver: HostDriver, device: Any) -> None:
    place = GpuPlace(gpu)
    cpu, executor = executor_at(HOST), executor_at(place)
    for points in (400, 1, 0, 300):
        values = cloud(points, points).numpy()
        names = ["coords_0", "coords_2", "voxels"]
        expected = cpu.run({"points": values}, keep=names)
        found = executor.run({"points": place.upload(values)}, keep=names)
        for name in ("coords_0", "coords_2"):
            np.testing.assert_array_equal(found[name], expected[name])
        np.testing.assert_allclose(found["voxels"], expected["voxels"], rtol=1e-5)
        limit = 1e-5 * max(1, np.abs(expected["map"]).max())
        np.testing.assert_allclose(place.download(found["map"]), expected["map"], rtol=0, atol=limit)
    found.clear()
    executor.close()
    del executor
    assert gpu.pool.used_bytes == 0
    assert driver.errors == []
    place.close()
