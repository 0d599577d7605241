"""What every driver must do, tried on one: the stand-in, cuda-python over a made-up libcuda, or a real GPU."""

from __future__ import annotations

import gc

import numpy as np

from perception.runtime.device.arrays import DeviceArray
from perception.runtime.device.device import Device
from perception.runtime.device.driver import Driver, DriverError
from perception.runtime.device.streams import EventTimer, Streams

VALUES = np.arange(6000, dtype=np.int32).reshape(1000, 6)


def check_copies(driver: Driver) -> None:
    """Between pageable, pinned and device memory, whole and by rows."""
    streams = Streams(Device(driver))
    array = DeviceArray.from_host(streams, VALUES)
    np.testing.assert_array_equal(array.to_host(), VALUES)
    pinned = driver.allocate_pinned(VALUES.nbytes)
    driver.copy(pinned.host, array.address, VALUES.nbytes, streams.current)
    driver.synchronize(streams.current)
    np.testing.assert_array_equal(pinned.host.view(np.int32).reshape(VALUES.shape), VALUES)
    pinned.host.view(np.int32)[:] = 5
    driver.copy(array.address, pinned.host, 24, streams.current)
    other = DeviceArray.empty(streams, (1000, 6), np.int32)
    other.copy_from(array)
    found = other.to_host()
    assert (found[0] == 5).all()
    np.testing.assert_array_equal(found[1:], VALUES[1:])
    check_rows(driver, streams, array)
    driver.fill(array.address, 0, 24, streams.current)
    assert not array.to_host()[0].any()
    driver.free_pinned(pinned)
    del array, other
    gc.collect()
    streams.close()


def check_rows(driver: Driver, streams: Streams, array: DeviceArray) -> None:
    """Columns of a matrix, to the host, from it and on the device."""
    expected = array.to_host()
    columns = np.zeros((1000, 2), np.int32)
    flat = columns.reshape(-1).view(np.uint8)
    driver.copy_rows(flat, 8, array.address + 4, 24, 8, 1000, streams.current)
    driver.synchronize(streams.current)
    np.testing.assert_array_equal(columns, expected[:, 1:3])
    columns += 1
    driver.copy_rows(array.address + 8, 24, flat, 8, 8, 1000, streams.current)
    expected[:, 2:4] = columns
    np.testing.assert_array_equal(array.to_host(), expected)
    driver.copy_rows(array.address, 24, array.address + 8, 24, 8, 1000, streams.current)
    expected[:, 0:2] = columns
    np.testing.assert_array_equal(array.to_host(), expected)


def check_streams(driver: Driver) -> None:
    """Branches, events, times."""
    gpu = Device(driver)
    streams = Streams(gpu)
    array = DeviceArray.from_host(streams, VALUES)
    timer = EventTimer(streams)
    with timer.stage("branch"), streams.fork("camera"):
        array.copy_from(VALUES + 1)
    streams.join("camera")
    np.testing.assert_array_equal(array.to_host(), VALUES + 1)
    assert 0 <= timer.stage_ms["branch"] < 10_000
    del array
    gc.collect()
    gpu.pool.release()
    streams.close()


def check_default_stream(driver: Driver) -> None:
    """Arrays outlive their streams; what is left to do for them goes to the default stream."""
    gpu = Device(driver)
    streams = Streams(gpu)
    array = DeviceArray.from_host(streams, VALUES)
    other = Streams(gpu)
    event = driver.create_event()
    driver.record_event(event, streams.current)
    driver.wait_for_event(0, event)
    target = np.zeros((1000, 2), np.int32)
    driver.copy_rows(target.reshape(-1).view(np.uint8), 8, array.address, 24, 8, 1000, 0)
    driver.synchronize(0)
    np.testing.assert_array_equal(target, VALUES[:, :2])
    with_other = other.current
    streams.close()
    assert array.__cuda_array_interface__["data"][0] == array.address
    del array
    gc.collect()
    assert gpu.pool.used_bytes == gpu.pool.kept_bytes == 0
    driver.synchronize(with_other)
    driver.destroy_event(event)
    other.close()


def check_graphs(driver: Driver) -> None:
    """What is captured is done when it is launched, as often as it is."""
    streams = Streams(Device(driver))
    source, target = (DeviceArray.from_host(streams, VALUES) for _ in range(2))
    streams.synchronize()
    driver.begin_capture(streams.current)
    target.copy_from(source)
    graph = driver.end_capture(streams.current)
    for number in range(3):
        source.copy_from(VALUES + number)
        driver.launch_graph(graph, streams.current)
        np.testing.assert_array_equal(target.to_host(), VALUES + number)
    driver.destroy_graph(graph)
    streams.close()


def check_errors(driver: Driver) -> None:
    """Memory that is not there, and calls that CUDA refuses."""
    try:
        driver.allocate(1 << 50, 0)
    except MemoryError:
        pass
    else:
        raise AssertionError("2^50 bytes were allocated")
    begin, end = driver.create_event(timing=True), driver.create_event(timing=True)
    try:
        driver.elapsed_ms(begin, end)
    except DriverError:
        pass
    else:
        raise AssertionError("events that never happened have a time")


def check(driver: Driver) -> None:
    """Everything that this driver can do."""
    assert driver.properties.name
    assert driver.properties.compute_capability >= (5, 0)
    assert 0 < driver.free_bytes() <= driver.properties.total_bytes
    driver.make_current()
    check_copies(driver)
    check_streams(driver)
    check_default_stream(driver)
    if driver.properties.graphs:
        check_graphs(driver)
    check_errors(driver)
