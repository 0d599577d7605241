import gc
import threading

import numpy as np
import pytest

from perception.configuration import ConfigurationError
from perception.ops import memory

LARGE = (300, 1000)


@pytest.fixture(autouse=True)
def nothing_kept():
    memory.release()
    yield
    memory.release()
    memory.most_kept_bytes.cache_clear()


def keep_at_most(monkeypatch, megabytes):
    monkeypatch.setenv("PERCEPTION_KEPT_MEMORY_MB", megabytes)
    memory.most_kept_bytes.cache_clear()


def address(array):
    return array.ctypes.data


def test_memory_is_used_again_only_when_no_array_is_left_on_it():
    first = memory.empty(LARGE, np.float32)
    view, place = first[10:20, ::2], address(first)
    del first
    gc.collect()
    assert memory.kept_bytes() == 0
    second = memory.empty(LARGE, np.float32)
    assert not np.shares_memory(view, second)
    del view
    assert memory.kept_bytes() > 0
    third = memory.empty((299, 1000), np.int32)
    assert address(third) == place
    assert memory.kept_bytes() == 0
    second.fill(1)
    third.fill(7)
    assert (second == 1).all()


@pytest.mark.parametrize("shape", [(), 0, (0, 4), (3,), (5, 7, 11), LARGE, (1 << 20,)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.int32, np.uint64])
def test_arrays_are_as_numpy_makes_them(shape, dtype):
    shape = (shape,) if isinstance(shape, int) else shape
    array = memory.empty(shape, dtype)
    assert array.shape == shape
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert array.flags.aligned
    array.fill(3)
    assert (array == 3).all()


def test_small_arrays_are_not_kept():
    del_me = memory.empty((100,), np.float32)
    del del_me
    assert memory.kept_bytes() == 0


def test_no_more_is_kept_than_the_limit(monkeypatch):
    keep_at_most(monkeypatch, "5")
    arrays = [memory.empty((1 << 20,), np.uint8) for _ in range(9)]
    del arrays
    assert memory.kept_bytes() == 5 << 20
    memory.release()
    assert memory.kept_bytes() == 0


def test_a_small_board_keeps_nothing(monkeypatch):
    keep_at_most(monkeypatch, "0")
    array = memory.empty(LARGE, np.float32)
    del array
    assert memory.kept_bytes() == 0


@pytest.mark.parametrize("wrong", ["", "-1", "much", "1.5"])
def test_a_wrong_limit_stops_the_first_call_with_one_sentence(monkeypatch, wrong):
    keep_at_most(monkeypatch, wrong)
    with pytest.raises(ConfigurationError, match=r"PERCEPTION_KEPT_MEMORY_MB.*whole number of megabytes"):
        memory.empty(LARGE, np.float32)


def test_threads_never_share_an_array():
    wrong = []

    def work(number):
        for _ in range(200):
            arrays = [memory.empty((100_000,), np.uint8) for _ in range(3)]
            for array in arrays:
                array.fill(number)
            if any((array != number).any() for array in arrays):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
