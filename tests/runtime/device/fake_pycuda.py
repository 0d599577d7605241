"""PyCUDA's driver module on the stand-in: PyCUDA itself only builds where a whole CUDA toolkit and a driver are."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from perception.runtime.device.driver import DriverError
from tests.runtime.device.host_driver import HostDriver


class FakePyCuda(ModuleType):
    """PyCUDA's driver module as far as it is used, on the stand-in; only calls inside of a pushed context work."""

    class Error(Exception):
        pass

    class LogicError(Error):
        pass

    class OutOfMemoryError(Error, MemoryError):
        pass

    def __init__(self) -> None:
        super().__init__("pycuda.driver")
        host = self.host = HostDriver(stream_ordered_memory=False, graphs=False)
        fake, self.pushed, self.MemoryError = self, 0, self.OutOfMemoryError

        class Flags:
            PORTABLE, DEVICEMAP, BLOCKING_SYNC, DISABLE_TIMING, INTEGRATED = 1, 2, 1, 2, 18

        class Context:
            def push(self) -> None:
                fake.pushed += 1

            @staticmethod
            def pop() -> None:
                fake.pushed -= 1

            @staticmethod
            def synchronize() -> None:
                fake.current()
                for stream in list(host._clocks)[2:]:
                    host.synchronize(stream)
                host.synchronize(0)

        class Device:
            def __init__(self, index: int) -> None:
                self.index = index

            count = staticmethod(lambda: 1)
            name = staticmethod(lambda: "Old GPU")
            compute_capability = staticmethod(lambda: (5, 3))
            total_memory = staticmethod(lambda: 1 << 30)
            pci_bus_id = staticmethod(lambda: "0000:00:00.0")
            get_attribute = staticmethod(lambda attribute: 1 if attribute == 18 else 0)
            retain_primary_context = staticmethod(Context)

        class Allocation:
            def __init__(self, address: int) -> None:
                self.address = address

            def __int__(self) -> int:
                return self.address

            def free(self) -> None:
                fake.current()
                host.free(self.address, 0)

        class Stream:
            def __init__(self, flags: int) -> None:
                fake.current()
                assert flags == 1
                self.handle = host.create_stream()

            def synchronize(self) -> None:
                fake.current()
                host.synchronize(self.handle)

            def wait_for_event(self, event: Any) -> None:
                host.wait_for_event(self.handle, event.number)

        class Event:
            def __init__(self, flags: int) -> None:
                fake.current()
                self.number = host.create_event(not flags & 2)

            def record(self, stream: Any) -> None:
                host.record_event(self.number, fake.handle(stream))

            def synchronize(self) -> None:
                host.synchronize_event(self.number)

            def time_till(self, end: Any) -> float:
                try:
                    return host.elapsed_ms(self.number, end.number)
                except DriverError:
                    raise fake.LogicError("cuEventElapsedTime failed: invalid resource handle") from None

        class Memcpy2D:
            def set_src_device(self, address: int) -> None:
                self.source = address

            def set_dst_device(self, address: int) -> None:
                self.target = address

            set_src_host, set_dst_host = set_src_device, set_dst_device

            def __call__(self, stream: Any = None, aligned: bool = True) -> None:
                fake.current()
                assert stream is not None or not aligned
                pitches = (self.target, self.dst_pitch, self.source, self.src_pitch)
                host.copy_rows(*pitches, self.width_in_bytes, self.height, fake.handle(stream))

        self.device_attribute = self.host_alloc_flags = self.event_flags = Flags
        self.Context, self.Device, self.Stream, self.Event, self.Memcpy2D = Context, Device, Stream, Event, Memcpy2D
        self.Allocation = Allocation

    def current(self) -> None:
        assert self.pushed == 1

    @staticmethod
    def handle(stream: Any) -> int:
        return 0 if stream is None else stream.handle

    def init(self) -> None:
        pass

    def mem_get_info(self) -> tuple[int, int]:
        self.current()
        return self.host.free_bytes(), 1 << 30

    def mem_alloc(self, size_bytes: int) -> Any:
        self.current()
        try:
            return self.Allocation(self.host.allocate(size_bytes, 0))
        except MemoryError:
            raise self.OutOfMemoryError("cuMemAlloc failed: out of memory") from None

    def pagelocked_empty(self, shape: int, dtype: Any, mem_flags: int) -> np.ndarray:
        self.current()
        memory, host = self.host.allocate_pinned(shape), self.host

        class Base:
            __array_interface__ = memory.host.__array_interface__

            def get_device_pointer(self) -> int:
                return memory.address

            def free(self) -> None:
                host.free_pinned(memory)

        assert mem_flags == 3
        return np.asarray(Base())

    def memcpy_htod_async(self, target: int, source: np.ndarray, stream: Any) -> None:
        self.current()
        self.host.copy(target, source, source.nbytes, self.handle(stream))

    def memcpy_dtoh_async(self, target: np.ndarray, source: int, stream: Any) -> None:
        self.current()
        self.host.copy(target, source, target.nbytes, self.handle(stream))

    def memcpy_dtod_async(self, target: int, source: int, size_bytes: int, stream: Any) -> None:
        self.current()
        self.host.copy(target, source, size_bytes, self.handle(stream))

    def memset_d8_async(self, address: int, value: int, size_bytes: int, stream: Any) -> None:
        self.current()
        self.host.fill(address, value, size_bytes, self.handle(stream))
