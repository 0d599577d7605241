"""Work beside the frames."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from perception.runtime.background import NICENESS, run_in_background


def priority() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_its_result_comes_back():
    assert run_in_background(lambda: 42) == 42


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(3)])
def test_what_it_raises_comes_back(error):
    def work():
        raise error

    with pytest.raises(type(error)) as caught:
        run_in_background(work)
    assert caught.value is error


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads are Linux's")
def test_only_its_own_thread_has_a_low_priority():
    before = priority()
    assert run_in_background(priority) == min(before + NICENESS, 19)
    assert priority() == before
