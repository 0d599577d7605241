import threading

import numpy as np
import pytest

from perception.configuration import ConfigurationError
from perception.ops import memory
from perception.runtime.device import device as devices
from perception.runtime.device.arrays import DeviceArray
from perception.runtime.device.device import Device
from perception.runtime.device.streams import Streams
from tests.runtime.device.host_driver import HostDriver


def test_no_more_is_given_than_the_limit(driver):
    streams = Streams(Device(driver, memory_limit_bytes=2_000_000))
    array = DeviceArray.empty(streams, (1_500_000,), np.uint8)
    with pytest.raises(MemoryError, match=r"1\.\d MB of GPU memory asked for, 1\.\d MB of the limit of 2\.0 MB"):
        DeviceArray.empty(streams, (1_000_000,), np.uint8)
    del array
    DeviceArray.empty(streams, (1_000_000,), np.uint8)


def test_the_limit_of_a_board_is_a_setting(monkeypatch, driver):
    monkeypatch.setattr(devices, "find_driver", lambda index: driver)
    monkeypatch.setattr(devices.atexit, "register", lambda call: None)
    for text, limit_bytes in ((None, driver.properties.total_bytes), ("100", 100 << 20)):
        if text is not None:
            monkeypatch.setenv("PERCEPTION_GPU_MEMORY_MB", text)
        devices._open.cache_clear()
        assert devices.open_device().pool.limit_bytes == limit_bytes
        assert devices.open_device() is devices.open_device(0)
    monkeypatch.setenv("PERCEPTION_GPU_MEMORY_MB", "lots")
    devices._open.cache_clear()
    with pytest.raises(ConfigurationError, match=r"^PERCEPTION_GPU_MEMORY_MB='lots': expected a whole number"):
        devices.open_device()


def test_kept_memory_is_given_back_before_a_call_fails():
    driver = HostDriver(total_bytes=1_000_000, stream_ordered_memory=False)
    gpu = Device(driver)
    streams = Streams(gpu)
    DeviceArray.empty(streams, (700_000,), np.uint8)
    assert gpu.pool.kept_bytes >= 700_000
    array = DeviceArray.empty(streams, (500_000,), np.uint8)
    assert gpu.pool.kept_bytes == 0
    with pytest.raises(MemoryError):
        DeviceArray.empty(streams, (600_000,), np.uint8)
    del array


def test_frames_of_nearly_the_same_size_share_memory(monkeypatch):
    gpu = Device(HostDriver(stream_ordered_memory=False))
    streams = Streams(gpu)
    first = DeviceArray.empty(streams, (100_000,), np.float32).address
    assert DeviceArray.empty(streams, (99_000,), np.float32).address == first
    with streams.fork("camera"):  # not in the order of another stream
        assert DeviceArray.empty(streams, (99_000,), np.float32).address != first


def test_what_an_engine_kept_goes_with_it(gpu, driver):
    before = driver.allocated_bytes
    streams = Streams(gpu)
    with streams.fork("camera"):
        DeviceArray.empty(streams, (100_000,), np.float32)
    streams.close()
    assert gpu.pool.kept_bytes == 0
    assert driver.allocated_bytes == before
    assert gpu.pool.streams == {0}


def test_a_stream_is_waited_for_before_it_goes(gpu, driver):
    stream = gpu.create_stream()
    array = DeviceArray.from_host(Streams(gpu), np.zeros(9, np.uint8))
    array.to_host()
    driver.fill(array.address, 1, 9, stream)
    gpu.destroy_stream(stream)
    assert (array.to_host() == 1).all()


@pytest.mark.parametrize("ordered", [True, False])
def test_a_small_board_keeps_nothing(monkeypatch, ordered):
    monkeypatch.setenv("PERCEPTION_KEPT_MEMORY_MB", "0")
    memory.most_kept_bytes.cache_clear()
    try:
        driver = HostDriver(stream_ordered_memory=ordered)
        gpu = Device(driver)
        DeviceArray.empty(Streams(gpu), (100_000,), np.float32)
        assert driver.kept_unused_bytes == 0
        assert gpu.pool.kept_bytes == driver.allocated_bytes == 0
    finally:
        memory.most_kept_bytes.cache_clear()


def test_nothing_is_freed_while_work_is_captured(streams, gpu):
    array = DeviceArray.empty(streams, (1000,), np.float32)
    with gpu.pool.held():
        with gpu.pool.held():  # two engines capture at the same time
            del array
        assert gpu.pool.used_bytes > 0
    assert gpu.pool.used_bytes == 0


def test_threads_share_a_pool(gpu, driver):
    wrong = []

    def work(number):
        streams = Streams(gpu)
        values = np.full(10_000, number, np.int32)
        for _ in range(50):
            arrays = [DeviceArray.from_host(streams, values) for _ in range(3)]
            if any((array.to_host() != number).any() for array in arrays):
                wrong.append(number)
        del arrays
        streams.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert gpu.pool.used_bytes == 0


def test_arrays_that_outlive_the_driver_are_left_alone(streams, gpu, driver):
    array = DeviceArray.empty(streams, (1000,), np.float32)
    gpu.close()
    before = len(driver.log)
    del array
    assert len(driver.log) == before
