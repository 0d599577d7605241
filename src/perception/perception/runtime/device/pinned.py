"""Copies between the CPU and a GPU by pinned memory, which is used again from frame to frame.

From other memory CUDA copies into pinned memory of its own first, and the call waits for that.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.ops import memory
from perception.runtime.device.arrays import DeviceArray
from perception.runtime.device.driver import PinnedMemory
from perception.runtime.device.streams import Streams

#: Larger arrays, such as weights, are not worth pinned memory of their size.
MOST_BYTES = 8 << 20
SMALLEST_BYTES = 1 << 16


class Download:
    """An array on its way to the CPU."""

    def __init__(self, slot: _Slot, array: DeviceArray) -> None:
        self._slot: _Slot | None = slot
        self._shape, self._dtype = array.shape, array.dtype
        self._values: NDArray[Any] | None = None

    def result(self) -> NDArray[Any]:
        """Wait for the copy, and give the array in memory of its own."""
        if self._values is None:
            assert self._slot is not None
            self._slot.wait()
            self._values = memory.empty(self._shape, self._dtype)
            self._values[...] = self._slot.view(self._shape, self._dtype)
            self._slot.download = None
            self._slot = None
        return self._values


class _Slot:
    """Some pinned memory, and when the GPU is done with it."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._memory: PinnedMemory | None = None
        self._event = streams.driver.create_event()
        self.download: Download | None = None

    def view(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """View the memory as an array; it must not be in use."""
        assert self._memory is not None
        size_bytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        return self._memory.host[:size_bytes].view(dtype).reshape(shape)

    def take(self, size_bytes: int) -> NDArray[np.uint8]:
        """Give so much memory, when the GPU is done with what was there before."""
        if self.download is not None:  # whoever wants it gets it from its own memory
            self.download.result()
        self.wait()
        if self._memory is None or self._memory.host.nbytes < size_bytes:
            self.free()
            self._memory = self._streams.driver.allocate_pinned(memory.rounded(max(size_bytes, SMALLEST_BYTES)))
        return self._memory.host[:size_bytes]

    def record(self) -> None:
        """Remember that the GPU uses it until what is queued now is done."""
        self._streams.driver.record_event(self._event, self._streams.current)

    def wait(self) -> None:
        """Wait until the GPU is done with it."""
        self._streams.driver.synchronize_event(self._event)

    def free(self) -> None:
        """Give the memory back."""
        if self._memory is not None:
            self._streams.driver.free_pinned(self._memory)
            self._memory = None

    def close(self) -> None:
        """Give everything back."""
        if self.download is not None:
            self.download.result()
        self.wait()
        self.free()
        self._streams.driver.destroy_event(self._event)


class Staging:
    """Pinned memory of one engine: while the GPU copies from one piece, the CPU fills the next one.

    Args:
        streams: of the engine; copies are queued on the current one.
        pieces: how many copies of one direction may be on their way.
    """

    def __init__(self, streams: Streams, pieces: int = 2) -> None:
        self._streams = streams
        self._slots = [[_Slot(streams) for _ in range(pieces)] for _ in range(2)]
        self._up, self._down = (itertools.cycle(slots) for slots in self._slots)

    def upload(self, values: NDArray[Any]) -> DeviceArray:
        """Copy an array to the GPU; it may be changed as soon as this returns, and may be a strided view."""
        if values.nbytes > MOST_BYTES:
            return DeviceArray.from_host(self._streams, values)
        array = DeviceArray.empty(self._streams, values.shape, values.dtype)
        if values.nbytes:
            slot = next(self._up)
            staged = slot.take(values.nbytes)
            slot.view(values.shape, values.dtype)[...] = values
            self._streams.driver.copy(array.used_address(), staged, values.nbytes, self._streams.current)
            slot.record()
        return array

    def download(self, array: DeviceArray) -> Download:
        """Begin to copy an array to the CPU."""
        slot = next(self._down)
        staged = slot.take(array.nbytes)
        if array.nbytes:
            self._streams.driver.copy(staged, array.used_address(), array.nbytes, self._streams.current)
        slot.record()
        slot.download = Download(slot, array)
        return slot.download

    def close(self) -> None:
        """Finish all copies and give the memory back."""
        for slot in itertools.chain.from_iterable(self._slots):
            slot.close()
