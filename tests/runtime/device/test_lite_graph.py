"""FlatFormer's encoder with lite blocks on the emulated GPU: columns of features, and convolutions along the walk."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perception.export.flatformer import lower_flatformer
from perception.runtime.device.device import Device
from perception.runtime.device.place import GpuPlace
from perception.runtime.executor import GraphExecutor
from perception.runtime.place import HOST, Place
from tests.export.test_flatformer import drawn_network
from tests.models.test_flatformer import SMALL, cloud
from tests.runtime.device.encoders import encoder_at
from tests.runtime.device.host_driver import HostDriver

pytestmark = pytest.mark.emulation


def executor_at(place: Place) -> GraphExecutor:
    """All but the dense part."""
    network = drawn_network(SMALL.model_copy(update={"block": "lite"}))
    return encoder_at(place, network, lower_flatformer(network))


def test_the_map_is_that_of_the_cpu(gpu: Device, driver: HostDriver, device: Any) -> None:
    place = GpuPlace(gpu)
    cpu, executor = executor_at(HOST), executor_at(place)
    for points in (400, 1, 0, 300):
        values = cloud(points, points).numpy()
        expected, found = cpu.run({"points": values})["map"], executor.run({"points": place.upload(values)})["map"]
        limit = 1e-5 * max(1, np.abs(expected).max())
        np.testing.assert_allclose(place.download(found), expected, rtol=0, atol=limit)
    del found
    executor.close()
    del executor
    assert gpu.pool.used_bytes == 0
    assert driver.errors == []
    place.close()
