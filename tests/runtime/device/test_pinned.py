import numpy as np
import pytest

from perception.runtime.device import pinned
from perception.runtime.device.arrays import DeviceArray
from perception.runtime.device.pinned import Staging
from perception.runtime.device.place import GpuPlace
from tests.runtime.device.accesses import HarnessError

VALUES = np.arange(40_000, dtype=np.float32).reshape(10_000, 4)


@pytest.fixture
def staging(streams):
    return Staging(streams)


def pinned_bytes(driver):
    return driver.memory.used_bytes("pinned")


@pytest.mark.parametrize("shape", [(), (0, 4), (3,), (100, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.float16])
def test_what_goes_up_comes_down(staging, shape, dtype):
    values = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    found = staging.download(staging.upload(values)).result()
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, values)


def test_what_was_uploaded_may_be_changed_at_once(staging):
    values = VALUES.copy()
    arrays = []
    for number in range(5):
        values[:] = VALUES + number
        arrays.append(staging.upload(values))
        values[:] = -1
    for number, array in enumerate(arrays):
        np.testing.assert_array_equal(array.to_host(), VALUES + number)


def test_strided_points_need_no_copy_before(staging):
    np.testing.assert_array_equal(staging.upload(VALUES[::2, :3]).to_host(), VALUES[::2, :3])


def test_downloads_may_be_asked_for_late_and_twice(staging):
    downloads = [staging.download(staging.upload(VALUES + number)) for number in range(5)]
    for number, download in reversed(list(enumerate(downloads))):
        np.testing.assert_array_equal(download.result(), VALUES + number)
        assert download.result() is download.result()
    assert len({id(download.result()) for download in downloads}) == 5


def test_pinned_memory_is_used_again(staging, driver):
    for _ in range(10):
        staging.download(staging.upload(VALUES)).result()
    used = pinned_bytes(driver)
    assert 4 * VALUES.nbytes <= used <= 5 * VALUES.nbytes
    for rows in (1, 9_999, 10_000):
        staging.download(staging.upload(VALUES[:rows])).result()
    assert pinned_bytes(driver) == used
    staging.close()
    assert pinned_bytes(driver) == 0


def test_a_place_gives_its_pinned_memory_back(gpu, driver):
    place = GpuPlace(gpu)
    np.testing.assert_array_equal(place.download(place.upload(VALUES)), VALUES)
    assert place.download(VALUES) is VALUES
    place.close()
    assert pinned_bytes(driver) == 0
    assert gpu.pool.used_bytes == gpu.pool.kept_bytes == 0


def test_large_arrays_are_not_pinned(staging, driver, monkeypatch):
    monkeypatch.setattr(pinned, "MOST_BYTES", 1000)
    np.testing.assert_array_equal(staging.upload(VALUES).to_host(), VALUES)
    assert pinned_bytes(driver) == 0


def test_a_copy_beside_the_network_is_joined(staging, streams):
    with streams.fork("copy"):
        array = staging.upload(VALUES)
    streams.join("copy")
    np.testing.assert_array_equal(array.to_host(), VALUES)


def test_the_harness_sees_host_memory_that_is_changed_too_early(streams, driver):
    memory = driver.allocate_pinned(400)
    array = DeviceArray.empty(streams, (400,), np.uint8)
    memory.host[:] = 1
    driver.copy(array.address, memory.host, 400, streams.current)
    memory.host[:] = 2
    with pytest.raises(HarnessError, match="changed before its copy was known to be done"):
        streams.synchronize()
    driver.errors.clear()


def test_the_harness_shows_rubbish_to_a_host_that_does_not_wait(streams, driver):
    memory = driver.allocate_pinned(400)
    array = DeviceArray.from_host(streams, np.ones(400, np.uint8))
    driver.copy(memory.host, array.address, 400, streams.current)
    assert (memory.host != 1).all()
    streams.synchronize()
    assert (memory.host == 1).all()
