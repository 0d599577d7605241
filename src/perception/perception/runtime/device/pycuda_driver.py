"""CUDA's driver by PyCUDA, which builds against whatever CUDA a board has, also old ones.

It knows neither stream-ordered memory nor graphs: memory is pooled by `perception.runtime.device.memory`, and regions
run operation by operation.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pycuda.driver as cuda

from perception.runtime.device.driver import (
    DeviceProperties,
    DriverError,
    Handle,
    Memory,
    PinnedMemory,
    no_driver,
    no_such_device,
)

_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING, which PyCUDA does not name


class PyCudaDriver:
    """One GPU in its primary context, which CUDA's runtime library, and so every kernel, uses too.

    PyCUDA counts the contexts that each thread has pushed and ends the process where a thread ends with one, so each
    call pushes and pops it.
    """

    def __init__(self, index: int = 0) -> None:
        """Open a GPU; ConfigurationError where there is none of that number, or no driver."""
        try:
            cuda.init()
            count = cuda.Device.count()
        except cuda.Error:
            raise no_driver() from None
        if not 0 <= index < count:
            raise no_such_device(index, count)
        device = cuda.Device(index)
        self._context = device.retain_primary_context()
        attributes = cuda.device_attribute
        self.properties = DeviceProperties(
            index=index,
            name=device.name(),
            compute_capability=tuple(device.compute_capability()),
            total_bytes=device.total_memory(),
            integrated=bool(device.get_attribute(attributes.INTEGRATED)),
            pci_bus_id=device.pci_bus_id(),
        )
        self._allocations: dict[int, Any] = {}
        self._streams: dict[Handle, Any] = {0: None}
        self._events: dict[Handle, Any] = {}
        self._numbers = itertools.count(1)

    def make_current(self) -> None:
        """Leave the thread as it is: the runtime library makes this context current by itself where there is none."""

    def free_bytes(self) -> int:
        """Tell how much memory of the GPU nobody uses."""
        with self._calls():
            return int(cuda.mem_get_info()[0])

    def allocate(self, size_bytes: int, stream: Handle) -> int:
        """Allocate device memory."""
        with self._calls():
            allocation = cuda.mem_alloc(size_bytes)
            self._allocations[int(allocation)] = allocation
            return int(allocation)

    def free(self, address: int, stream: Handle) -> None:
        """Free device memory; waits for all work."""
        with self._calls():
            self._allocations.pop(address).free()

    def keep_unused(self, size_bytes: int) -> None:
        """Keep nothing: the pool above does."""

    def release_unused(self) -> None:
        """Nothing is kept here."""

    def allocate_pinned(self, size_bytes: int) -> PinnedMemory:
        """Allocate host memory that all contexts may use and the GPU sees."""
        flags = cuda.host_alloc_flags.PORTABLE | cuda.host_alloc_flags.DEVICEMAP
        with self._calls():
            host = cuda.pagelocked_empty(size_bytes, np.uint8, mem_flags=flags)
            return PinnedMemory(host, int(host.base.get_device_pointer()))

    def free_pinned(self, memory: PinnedMemory) -> None:
        """Free pinned memory."""
        with self._calls():
            memory.host.base.free()  # type: ignore[union-attr]

    def copy(self, target: Memory, source: Memory, size_bytes: int, stream: Handle) -> None:
        """Queue a copy."""
        on = self._streams[stream]
        with self._calls():
            if isinstance(target, int) and isinstance(source, int):
                cuda.memcpy_dtod_async(target, source, size_bytes, on)
            elif isinstance(target, int):
                cuda.memcpy_htod_async(target, source[:size_bytes], on)  # type: ignore[index]
            elif isinstance(source, int):
                cuda.memcpy_dtoh_async(target[:size_bytes], source, on)
            else:
                raise DriverError("a copy needs the GPU on one of its ends")

    def copy_rows(
        self,
        target: Memory,
        target_pitch_bytes: int,
        source: Memory,
        source_pitch_bytes: int,
        row_bytes: int,
        rows: int,
        stream: Handle,
    ) -> None:
        """Queue a copy of rows whose beginnings lie a pitch apart."""
        with self._calls():
            copy = cuda.Memcpy2D()
            copy.set_src_device(source) if isinstance(source, int) else copy.set_src_host(source)
            copy.set_dst_device(target) if isinstance(target, int) else copy.set_dst_host(target)
            copy.src_pitch, copy.dst_pitch = source_pitch_bytes, target_pitch_bytes
            copy.width_in_bytes, copy.height = row_bytes, rows
            if stream == 0:
                copy(aligned=False)  # waits for the copy
            else:
                copy(self._streams[stream])

    def fill(self, address: int, value: int, size_bytes: int, stream: Handle) -> None:
        """Queue setting every byte."""
        with self._calls():
            cuda.memset_d8_async(address, value, size_bytes, self._streams[stream])

    def create_stream(self) -> Handle:
        """Make a stream that does not wait for the default stream."""
        with self._calls():
            stream = cuda.Stream(_NON_BLOCKING)
        self._streams[int(stream.handle)] = stream
        return int(stream.handle)

    def destroy_stream(self, stream: Handle) -> None:
        """Give a stream back."""
        with self._calls():
            del self._streams[stream]

    def synchronize(self, stream: Handle) -> None:
        """Wait until everything that is queued on the stream is done."""
        with self._calls():
            if stream == 0:
                cuda.Context.synchronize()  # PyCUDA has no object for the default stream: all of them are waited for
            else:
                self._streams[stream].synchronize()

    def create_event(self, timing: bool = False) -> Handle:
        """Make an event; who waits for it sleeps, for nodes share the cores of the robot."""
        flags = cuda.event_flags.BLOCKING_SYNC
        with self._calls():
            event = cuda.Event(flags if timing else flags | cuda.event_flags.DISABLE_TIMING)
        number = next(self._numbers)
        self._events[number] = event
        return number

    def destroy_event(self, event: Handle) -> None:
        """Give an event back."""
        with self._calls():
            del self._events[event]

    def record_event(self, event: Handle, stream: Handle) -> None:
        """Let the event happen after what is queued on the stream."""
        with self._calls():
            self._events[event].record(self._streams[stream])

    def wait_for_event(self, stream: Handle, event: Handle) -> None:
        """Let the stream wait for the event."""
        with self._calls():
            if stream == 0:
                self._events[event].synchronize()
            else:
                self._streams[stream].wait_for_event(self._events[event])

    def synchronize_event(self, event: Handle) -> None:
        """Let the calling thread sleep until the event happened."""
        with self._calls():
            self._events[event].synchronize()

    def elapsed_ms(self, begin: Handle, end: Handle) -> float:
        """Tell the time between two events that happened."""
        with self._calls():
            return float(self._events[begin].time_till(self._events[end]))

    def begin_capture(self, stream: Handle) -> None:
        """Refuse: PyCUDA knows no graphs."""
        raise _no_graphs()

    def end_capture(self, stream: Handle) -> Handle:
        """Refuse."""
        raise _no_graphs()

    def launch_graph(self, graph: Handle, stream: Handle) -> None:
        """Refuse."""
        raise _no_graphs()

    def destroy_graph(self, graph: Handle) -> None:
        """Refuse."""
        raise _no_graphs()

    @contextmanager
    def _calls(self) -> Iterator[None]:
        """Calls of PyCUDA in this GPU's context, with errors as all drivers have them."""
        self._context.push()
        try:
            yield
        except cuda.MemoryError:
            raise MemoryError("the GPU has no more memory") from None
        except cuda.Error as error:
            raise DriverError(str(error)) from None
        finally:
            cuda.Context.pop()


def _no_graphs() -> DriverError:
    return DriverError("PyCUDA cannot capture work; install cuda-bindings for graphs")
