import gc

import numpy as np
import pytest

from perception.runtime.device.arrays import DeviceArray
from perception.runtime.device.streams import EventTimer, Streams
from tests.runtime.device.accesses import HarnessError

VALUES = np.arange(3000, dtype=np.int32).reshape(1000, 3)


def use(array):
    """What a kernel does with an array: it asks for its address on the current stream."""
    return array.__cuda_array_interface__


def test_a_branch_sees_what_was_done_before_it_and_its_result_is_seen_after_the_join(streams):
    array = DeviceArray.from_host(streams, VALUES)
    with streams.fork("camera"):
        assert streams.current == streams.named("camera") != streams.main
        assert array.stream_address == streams.named("camera")
        array.copy_from(VALUES + 1)
    assert streams.current == streams.main
    streams.join("camera")
    np.testing.assert_array_equal(array.to_host(), VALUES + 1)


def test_the_harness_sees_a_missing_join(streams, driver):
    with streams.fork("lidar"):
        array = DeviceArray.from_host(streams, VALUES)
        use(array)
        target = DeviceArray.empty(streams, (5,), np.int32)
        use(target)
    with pytest.raises(HarnessError, match=r"reads memory .* without waiting"):
        use(target)
    driver.errors.clear()
    streams.join("lidar")
    use(target)


def test_the_harness_sees_branches_that_write_what_the_other_one_reads(streams, driver):
    array = DeviceArray.from_host(streams, VALUES)
    with streams.fork("camera"):
        use(array)
    with streams.fork("lidar"), pytest.raises(HarnessError, match=r"writes memory .* read, without waiting"):
        driver.fill(array.address, 0, array.nbytes, streams.current)
    driver.errors.clear()


def test_branches_may_read_the_same_array(streams):
    array = DeviceArray.from_host(streams, VALUES)
    with streams.fork("camera"):
        use(array)
    with streams.fork("lidar"):
        use(array)
    streams.join("camera", "lidar")
    del array


def test_memory_that_a_branch_still_uses_waits_for_it(streams, driver):
    array = DeviceArray.from_host(streams, VALUES)
    address = array.address
    with streams.fork("camera"):
        use(array)
        del array  # while the current stream is not the one that it belongs to
    again = DeviceArray.from_host(streams, VALUES)  # the same memory, where the pool keeps it
    if not streams.device.properties.stream_ordered_memory:
        assert again.address == address
    gc.collect()


def test_an_array_of_a_branch_outlives_the_streams(gpu, driver):
    streams = Streams(gpu)
    with streams.fork("camera"):
        array = DeviceArray.from_host(streams, VALUES)
    streams.join("camera")
    use(array)
    streams.close()
    del array
    assert gpu.pool.used_bytes == 0
    other = Streams(gpu)
    np.testing.assert_array_equal(DeviceArray.from_host(other, VALUES).to_host(), VALUES)
    other.close()


def test_a_branch_that_fails_gives_the_stream_back(streams):
    with pytest.raises(KeyError), streams.fork("camera"):
        raise KeyError
    assert streams.current == streams.main


def test_engines_have_streams_of_their_own(gpu):
    first, second = Streams(gpu), Streams(gpu)
    assert len({first.main, second.main, first.named("copy"), second.named("copy")}) == 4
    assert first.named("copy") == first.named("copy")


def test_stages_are_timed_in_order_and_events_are_used_again(streams, driver):
    timer = EventTimer(streams)
    with timer.stage("voxels"):
        DeviceArray.from_host(streams, VALUES)
    with pytest.raises(KeyError), timer.stage("network"):
        raise KeyError
    with timer.stage("voxels"):
        pass
    assert list(timer.stage_ms) == ["voxels", "network"]
    assert all(ms > 0 for ms in timer.stage_ms.values())
    events = len(driver._events)
    again = EventTimer(streams)
    with again.stage("voxels"), again.stage("inner"):
        pass
    assert again.stage_ms["voxels"] >= again.stage_ms["inner"]
    assert len(driver._events) == events


def test_times_that_nobody_asked_for_cost_no_events(streams, driver):
    for _ in range(3):
        timer = EventTimer(streams)
        with timer.stage("voxels"):
            pass
        del timer
        gc.collect()
    assert len(streams._timing_events) == 2
