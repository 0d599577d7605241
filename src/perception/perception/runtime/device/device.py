"""A GPU as all engines of the process share it, and what people call it: cuda, cuda:1."""

from __future__ import annotations

import atexit
import re
import threading
from functools import cache

from perception.configuration import ConfigurationError
from perception.ops import memory
from perception.runtime.device.driver import DeviceProperties, Driver, Handle, find_driver
from perception.runtime.device.memory import MemoryPool

#: The environment variable that says how many megabytes of a GPU the arrays of a process may take.
LIMIT_VARIABLE = "PERCEPTION_GPU_MEMORY_MB"

_opening = threading.Lock()


class Device:
    """One GPU of the machine with its memory.

    Attributes:
        driver: CUDA.
        pool: the memory that all engines share.
    """

    def __init__(self, driver: Driver, memory_limit_bytes: int | None = None) -> None:
        self.driver = driver
        self.pool = MemoryPool(driver, memory_limit_bytes)

    @property
    def properties(self) -> DeviceProperties:
        """What does not change about the GPU."""
        return self.driver.properties

    def create_stream(self) -> Handle:
        """Make a stream."""
        stream = self.driver.create_stream()
        self.pool.streams.add(stream)
        return stream

    def destroy_stream(self, stream: Handle) -> None:
        """Wait for a stream and give it back."""
        self.driver.synchronize(stream)
        self.pool.forget_stream(stream)
        self.driver.destroy_stream(stream)

    def close(self) -> None:
        """Stop using the driver."""
        self.pool.close()


def gpu_index(device: str) -> int | None:
    """Tell which GPU a device's name means: cuda is GPU 0, cuda:1 the second one, cpu none.

    Raises:
        ConfigurationError: it is neither.
    """
    if device == "cpu":
        return None
    found = re.fullmatch(r"cuda(?::(\d{1,3}))?", device)
    if found is None:
        raise ConfigurationError(f"device '{device}': expected cpu, cuda, or cuda:N for the GPU number N")
    return int(found[1] or 0)


def open_device(index: int = 0) -> Device:
    """Open a GPU; later calls give the same one, so that all engines share its context and its memory.

    Raises:
        ConfigurationError: there is no such GPU, no driver, no package that knows it, or a limit that is no number.
    """
    with _opening:  # engines may be loaded by several threads
        return _open(index)


@cache
def _open(index: int) -> Device:
    driver = find_driver(index)
    device = Device(driver, memory.bytes_setting(LIMIT_VARIABLE, driver.properties.total_bytes))
    atexit.register(device.close)
    return device
