"""A stand-in for a GPU, watched, as the tests of everything above the driver use it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from perception.runtime.device.device import Device
from perception.runtime.device.streams import Streams
from tests.runtime.device.host_driver import HostDriver
from tests.runtime.device.watching import watched


@pytest.fixture(params=["stream-ordered", "own pool"])
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostDriver]:
    """A driver that allocates in the order of streams, and one that cannot."""
    driver = HostDriver(stream_ordered_memory=request.param == "stream-ordered")
    with watched(driver, monkeypatch):
        yield driver


@pytest.fixture
def gpu(driver: HostDriver) -> Device:
    """A GPU with its pool."""
    return Device(driver)


@pytest.fixture
def streams(gpu: Device) -> Streams:
    """The streams of an engine."""
    return Streams(gpu)
