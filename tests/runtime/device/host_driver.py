"""A stand-in for CUDA's driver: its device is the host's memory, and it notices what a GPU would pass over in silence.

Work is done at once, but the order in which streams would be allowed to do it is kept: use of freed memory, copies
beyond their memory, a stream that does not wait for another one, host memory that is read or changed before its copy is
known to be done, work beside a capture, and a branch that a capture forgets are errors.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from perception.runtime.device.driver import DeviceProperties, DriverError, PinnedMemory
from tests.runtime.device.accesses import Clock, HarnessError, HostMemory, merged

HOST = -1  # the host's own clock among those of the streams
Work = Callable[[int], None]  # given the stream


class Pending(NamedTuple):
    """A copy from or to the host's memory of which the host does not know yet that it is done."""

    stream: int
    tick: int
    host: np.ndarray
    values: np.ndarray
    to_host: bool


class Event(NamedTuple):
    clock: Clock
    time_s: float
    captured: bool


class HostDriver:
    """A driver for tests. Its errors are raised and kept in `errors`, for some are raised where nobody listens."""

    def __init__(self, index: int = 0, *, total_bytes: int = 1 << 30, **properties: Any) -> None:
        defaults = {"stream_ordered_memory": True, "graphs": True, "integrated": False}
        self.properties = DeviceProperties(index, "Stand-in", (8, 7), total_bytes, **(defaults | properties))
        self.errors: list[HarnessError] = []
        self.log: list[tuple[Any, ...]] = []
        self.kept_unused_bytes: int | None = None
        self.memory = HostMemory()
        self._clocks: dict[int, Clock] = {0: {}, HOST: {}}
        self._events: dict[int, Event | None] = {}
        self._graphs: dict[int, list[Work]] = {}
        self._pending: list[Pending] = []
        self._capture: list[Work] | None = None
        self._captured: set[int] = set()
        self._lock = threading.RLock()
        self._numbers = iter(range(1000, 1 << 30))

    # -- memory

    @property
    def allocated_bytes(self) -> int:
        return self.memory.used_bytes()

    def make_current(self) -> None:
        """There is one context only."""

    def free_bytes(self) -> int:
        return self.properties.total_bytes - self.allocated_bytes

    def allocate(self, size_bytes: int, stream: int) -> int:
        if size_bytes > self.free_bytes():
            raise MemoryError("no memory left")
        if self._capture is not None:
            raise DriverError("memory is allocated in a capture")
        buffer = self.memory.add(size_bytes, f"memory of {size_bytes} bytes")
        on = stream if self.properties.stream_ordered_memory else HOST
        with self._step("allocate", on) as clock:
            buffer.access(buffer.address, buffer.address + size_bytes, on, clock, True)
        return buffer.address

    def free(self, address: int, stream: int) -> None:
        if self._capture is not None and (stream in self._captured or not self.properties.stream_ordered_memory):
            self.fail("memory is freed in a capture")
        if not self.properties.stream_ordered_memory:  # waits for all work
            self._known(self._everything())
            stream = HOST
        with self._step("free", stream) as clock:
            buffer = self.memory.find(address)
            if buffer.address != address:
                self.fail(f"{address} is freed, where no memory begins")
            buffer.access(address, address + buffer.memory.size, stream, clock, True)
            buffer.freed = True
            buffer.memory.fill(0xDD)

    def keep_unused(self, size_bytes: int) -> None:
        self.kept_unused_bytes = size_bytes

    def release_unused(self) -> None:
        self.log.append(("release_unused",))

    def allocate_pinned(self, size_bytes: int) -> PinnedMemory:
        buffer = self.memory.add(size_bytes, f"pinned memory of {size_bytes} bytes")
        buffer.filled = True
        return PinnedMemory(buffer.memory, buffer.address)

    def free_pinned(self, memory: PinnedMemory) -> None:
        buffer = self.memory.find(memory.address)
        buffer.access(buffer.address, buffer.address + buffer.memory.size, HOST, self._tick(HOST), True)
        buffer.freed = True

    # -- work

    def copy(self, target: Any, source: Any, size_bytes: int, stream: int) -> None:
        self.copy_rows(target, size_bytes, source, size_bytes, size_bytes, 1, stream)

    def copy_rows(
        self, target: Any, target_pitch: int, source: Any, source_pitch: int, row_bytes: int, rows: int, stream: int
    ) -> None:
        if row_bytes > min(target_pitch, source_pitch):
            self.fail(f"rows of {row_bytes} bytes overlap at pitches of {target_pitch} and {source_pitch} bytes")
        pitches = target_pitch, source_pitch
        self._queue("copy", stream, lambda on: self._copy(target, source, pitches, row_bytes, rows, on))

    def fill(self, address: int, value: int, size_bytes: int, stream: int) -> None:
        def work(on: int) -> None:
            self.touch(address, size_bytes, on, writes=True)
            self._bytes(address, size_bytes)[:] = value

        self._queue("fill", stream, work)

    def kernel(self, stream: int, work: Callable[[], None]) -> None:
        """What replaces a call of a kernel on a stream."""
        self._queue("kernel", stream, lambda on: work())

    def touch(self, address: int, size_bytes: int, stream: int, writes: bool | None = None) -> None:
        """Check a use of memory in the order of a stream; the first one of an array is held for a write."""
        with self._lock, self._errors_kept():
            buffer = self.memory.find(address)
            writes = not buffer.filled if writes is None else writes
            buffer.filled = True
            buffer.access(address, address + size_bytes, stream, self._tick(stream), writes)

    # -- order

    def create_stream(self) -> int:
        stream = next(self._numbers)
        self._clocks[stream] = {}
        return stream

    def destroy_stream(self, stream: int) -> None:
        clock = self._clock(stream)
        if clock.get(stream, 0) > self._clocks[HOST].get(stream, 0):
            self.fail(f"stream {stream} is destroyed with work that nobody waited for")
        del self._clocks[stream]

    def synchronize(self, stream: int) -> None:
        with self._lock, self._errors_kept():
            if stream in self._captured:
                raise DriverError("a captured stream is waited for")
            self.log.append(("synchronize", stream))
            self._known(self._clock(stream))

    def create_event(self, timing: bool = False) -> int:
        event = next(self._numbers)
        self._events[event] = None
        return event

    def destroy_event(self, event: int) -> None:
        del self._events[event]

    def record_event(self, event: int, stream: int) -> None:
        with self._step("record", stream) as clock:
            self._events[event] = Event(dict(clock), time.perf_counter(), stream in self._captured)

    def wait_for_event(self, stream: int, event: int) -> None:
        found = self._event(event)
        if found is None:
            return  # as CUDA: an event that was never recorded has happened
        with self._lock, self._errors_kept():
            if found.captured:
                if self._capture is None:
                    self.fail(f"stream {stream} waits for an event of a capture that has ended")
                self._captured.add(stream)
            self._clocks[stream] = merged(self._clock(stream), found.clock)

    def synchronize_event(self, event: int) -> None:
        found = self._event(event)
        if found is not None:
            with self._lock, self._errors_kept():
                if found.captured:
                    self.fail("the host waits for an event of a capture")
                self._known(found.clock)

    def elapsed_ms(self, begin: int, end: int) -> float:
        first, last = self._event(begin), self._event(end)
        if first is None or last is None or first.captured or last.captured:
            raise DriverError("an event did not happen")
        return 1e3 * (last.time_s - first.time_s)

    # -- graphs

    def begin_capture(self, stream: int) -> None:
        if not self.properties.graphs or stream == 0:
            raise DriverError("no capture here")
        self._capture, self._captured = [], {stream}

    def end_capture(self, stream: int) -> int:
        captured, self._captured = self._captured, set()
        graph, self._capture = self._capture, None
        for other in captured:
            if self._clock(other).get(other, 0) > self._clock(stream).get(other, 0):
                raise DriverError(f"stream {other} of the capture was not joined")
        number = next(self._numbers)
        self._graphs[number] = graph or []
        return number

    def launch_graph(self, graph: int, stream: int) -> None:
        for work in self._graphs[graph]:
            self._queue("launch", stream, work)

    def destroy_graph(self, graph: int) -> None:
        del self._graphs[graph]

    # -- inside

    def fail(self, message: str) -> None:
        error = HarnessError(message)
        self.errors.append(error)
        raise error

    @contextmanager
    def _errors_kept(self) -> Iterator[None]:
        try:
            yield
        except HarnessError as error:
            if error not in self.errors:
                self.errors.append(error)
            raise

    @contextmanager
    def _step(self, what: str, stream: int) -> Iterator[Clock]:
        with self._lock, self._errors_kept():
            if self._capture is not None and stream not in self._captured:
                raise HarnessError(f"{what} on stream {stream} beside a capture")
            self.log.append((what, stream))
            yield self._tick(stream)

    def _tick(self, stream: int) -> Clock:
        clock = merged(self._clock(stream), self._clocks[HOST])
        clock[stream] = clock.get(stream, 0) + 1
        self._clocks[stream] = clock
        return clock

    def _queue(self, what: str, stream: int, work: Work) -> None:
        with self._step(what, stream):
            if self._capture is None:
                work(stream)
            else:
                self._capture.append(work)

    def _copy(self, target: Any, source: Any, pitches: tuple[int, int], row: int, rows: int, stream: int) -> None:
        place = self._view(target, pitches[0], row, rows, stream, True)
        given = self._view(source, pitches[1], row, rows, stream, False)
        values, tick = given.copy(), self._clock(stream)[stream]
        if isinstance(target, np.ndarray):
            place.fill(0xEE)  # what a host sees that does not wait
            self._pending.append(Pending(stream, tick, place, values, True))
        else:
            place[:] = values
        if isinstance(source, np.ndarray):
            self._pending.append(Pending(stream, tick, given, values, False))

    def _view(self, memory: Any, pitch: int, row: int, rows: int, stream: int, writes: bool) -> np.ndarray:
        """The rows of a copy in memory that is checked."""
        size = (rows - 1) * pitch + row
        if isinstance(memory, int):
            self.touch(memory, size, stream, writes)
            memory = self._bytes(memory, size)
        if memory.dtype != np.uint8 or memory.ndim != 1 or not memory.flags.c_contiguous:
            self.fail("host memory must be dense uint8")
        if size > memory.size:
            self.fail(f"{size} bytes reach beyond host memory of {memory.size} bytes")
        return np.lib.stride_tricks.as_strided(memory, (rows, row), (pitch, 1))

    def _known(self, clock: Clock) -> None:
        """The host knows now that all of this is done."""
        self._clocks[HOST] = merged(self._clocks[HOST], clock)
        done = [one for one in self._pending if one.tick <= clock.get(one.stream, 0)]
        self._pending = [one for one in self._pending if one.tick > clock.get(one.stream, 0)]
        for one in done:
            if one.to_host:
                one.host[:] = one.values
            elif not np.array_equal(one.host, one.values):
                self.fail("host memory was changed before its copy was known to be done")

    def _everything(self) -> Clock:
        clock: Clock = {}
        for other in self._clocks.values():
            clock = merged(clock, other)
        return clock

    def _bytes(self, address: int, size: int) -> np.ndarray:
        return self.memory.find(address).bytes(address, size)

    def _clock(self, stream: int) -> Clock:
        if stream not in self._clocks:
            self.fail(f"there is no stream {stream}")
        return self._clocks[stream]

    def _event(self, event: int) -> Event | None:
        if event not in self._events:
            self.fail(f"there is no event {event}")
        return self._events[event]
