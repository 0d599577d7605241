import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception.ops import arrays
from perception.runtime.device.arrays import DeviceArray
from perception.runtime.device.device import Device
from perception.runtime.device.streams import Streams
from tests.runtime.device.accesses import HarnessError
from tests.runtime.device.host_driver import HostDriver


@pytest.mark.parametrize("shape", [(), (0,), (5,), (0, 4), (7, 3), (2, 3, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int32, np.uint8, np.int64])
def test_what_goes_to_the_gpu_comes_back(streams, shape, dtype):
    values = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    array = DeviceArray.from_host(streams, values)
    assert (array.shape, array.dtype, array.nbytes) == (values.shape, values.dtype, values.nbytes)
    found = array.to_host()
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)


def test_the_operations_take_it_and_make_more_of_its_kind(streams):
    array = DeviceArray.from_host(streams, np.zeros((6, 4), np.float32))
    assert arrays.as_array(array, np.float32, (None, 4), "features") is array
    assert arrays.as_features(array, "features")[1:] == (np.dtype(np.float32), 0)
    assert arrays.address(array) == array.address
    made = arrays.empty(array, (3, 2), np.int32)
    assert isinstance(made, DeviceArray)
    assert (made.shape, made.dtype) == ((3, 2), np.int32)
    assert arrays.place_of(made) == arrays.Place(0, streams.main)
    with pytest.raises(ValueError, match=r"features must have the shape \[any, 3\]"):
        arrays.as_array(array, np.float32, (None, 3), "features")
    with pytest.raises(ValueError, match="lie on the CPU and GPU 0"):
        arrays.common_place("call", [np.zeros(3), array])


def test_an_empty_array_has_no_address(streams):
    assert arrays.address(DeviceArray.empty(streams, (0, 4), np.float32)) is None


@settings(deadline=None)
@given(st.integers(0, 9), st.integers(-12, 12), st.integers(-12, 12))
def test_rows_are_numpys_rows(rows, begin, end):
    values = np.arange(3 * rows, dtype=np.int32).reshape(rows, 3)
    array = DeviceArray.from_host(Streams(Device(HostDriver())), values)
    np.testing.assert_array_equal(array[begin:end].to_host(), values[begin:end])


def test_columns_are_dense_rows_that_lie_apart(streams):
    values = np.arange(24, dtype=np.float32).reshape(4, 6)
    array = DeviceArray.from_host(streams, values)
    columns = array[1:, 2:5]
    assert (columns.shape, columns.dtype) == ((3, 3), np.float32)
    interface = columns.__cuda_array_interface__
    assert interface["data"][0] == array.address + 4 * (6 + 2)
    assert (interface["shape"], interface["strides"]) == ((3, 3), (24, 4))
    assert columns.new_empty((2, 2), np.int32).shape == (2, 2)
    assert array[:, 6:].shape == (4, 0)
    for wrong in ((slice(None), slice(None, None, 2)), (slice(None), 1)):
        with pytest.raises(TypeError, match="neighbouring columns of rows only"):
            array[wrong]
    with pytest.raises(TypeError, match="neighbouring columns of rows only"):
        array.reshape(2, 2, 6)[:, :1]


def test_views_share_memory(streams):
    values = np.arange(24, dtype=np.float32).reshape(4, 6)
    array = DeviceArray.from_host(streams, values)
    view = array[1:3].reshape(-1, 4)
    np.testing.assert_array_equal(view.to_host(), values[1:3].reshape(-1, 4))
    view.copy_from(np.full((3, 4), 7, np.float32))
    np.testing.assert_array_equal(array.to_host()[1:3], np.full((2, 6), 7))
    np.testing.assert_array_equal(array.reshape((24,)).to_host()[:6], values[0])
    with pytest.raises(TypeError, match="neighbouring rows only"):
        array[::2]
    with pytest.raises(ValueError, match="reshape"):
        array.reshape(5, 5)
    with pytest.raises(ValueError, match=r"float32 \[2, 3\] cannot be copied to float32 \[4, 6\]"):
        array.copy_from(np.zeros((2, 3), np.float32))


def test_arrays_lie_in_an_arena(streams, driver):
    arena = DeviceArray.empty(streams, (4096,), np.uint8)
    first, second = arena.part((10, 4), np.float32), arena.part((8,), np.float16, 256)
    first.copy_from(np.ones((10, 4), np.float32))
    second.copy_from(np.full(8, 2, np.float16))
    assert second.address == arena.address + 256
    np.testing.assert_array_equal(first.to_host(), np.ones((10, 4)))
    with pytest.raises(ValueError, match="does not fit into 4096 bytes"):
        arena.part((100, 10), np.float32, 200)
    del arena, first
    gc.collect()
    np.testing.assert_array_equal(second.to_host(), np.full(8, 2))


def test_memory_comes_back_when_the_last_view_is_gone(streams, gpu, driver):
    before = driver.allocated_bytes
    array = DeviceArray.empty(streams, (1000, 100), np.float32)
    view, used = array[5:10], gpu.pool.used_bytes
    assert used >= 400_000
    del array
    assert gpu.pool.used_bytes == used
    del view
    assert gpu.pool.used_bytes == 0
    assert gpu.pool.high_water_bytes == used
    gpu.pool.release()
    assert driver.allocated_bytes == before


def test_the_harness_sees_the_use_of_freed_memory(streams, driver):
    address = DeviceArray.empty(streams, (1000, 100), np.float32).address
    streams.device.pool.release()
    with pytest.raises(HarnessError, match="which was freed"):
        driver.copy(address, np.zeros(64, np.uint8), 64, streams.current)
    driver.errors.clear()


def test_the_harness_sees_a_copy_beyond_the_memory(streams, driver):
    array = DeviceArray.empty(streams, (1024,), np.uint8)
    with pytest.raises(HarnessError, match="reach beyond"):
        driver.copy(array.address, np.zeros(1 << 20, np.uint8), 1 << 20, streams.current)
    with pytest.raises(HarnessError, match="reach beyond host memory"):
        driver.copy(array.address, np.zeros(64, np.uint8), 65, streams.current)
    driver.errors.clear()


def test_columns_are_copied_by_pitch(streams, driver):
    wide = DeviceArray.from_host(streams, np.zeros((5, 6), np.int32))
    narrow = DeviceArray.from_host(streams, np.arange(10, dtype=np.int32).reshape(5, 2))
    driver.copy_rows(wide.address + 4, 24, narrow.address, 8, 8, 5, streams.current)
    expected = np.zeros((5, 6), np.int32)
    expected[:, 1:3] = narrow.to_host()
    np.testing.assert_array_equal(wide.to_host(), expected)
