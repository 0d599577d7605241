"""Figures of the device on /diagnostics."""

from __future__ import annotations

from perception.ros.device_status import device_statuses
from perception.runtime.device.figures import DeviceFigures


def test_only_what_is_known_is_reported():
    figures = DeviceFigures(name="Orin Nano", memory_used_bytes=2_500_000_000, temperature_c=51.5, power_mode="15W")
    (status,) = device_statuses("/n", "cuda", figures)
    assert (status.name, status.message) == ("/n: device", "cuda: Orin Nano")
    values = {pair.key: pair.value for pair in status.values}
    assert values == {"memory_used_mb": "2500.0", "temperature_c": "51.5", "power_mode": "15W"}


def test_zero_is_known():
    (status,) = device_statuses("/n", "cuda", DeviceFigures(load=0.0))
    assert [(pair.key, pair.value) for pair in status.values] == [("load_percent", "0.0")]


def test_a_device_that_tells_nothing_has_no_status():
    assert device_statuses("/n", "cpu", DeviceFigures(name="a name alone")) == []
