"""The streams of one engine: branches of a network side by side, joined by events, and timed by them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from perception.runtime.device.device import Device
from perception.runtime.device.driver import Handle
from perception.runtime.timing import StageTimer


class Streams:
    """Streams by name, of which one is current: what the engine does with its arrays is queued there.

    Used by one thread at a time, as engines are.

    Attributes:
        device: the GPU.
        current: the stream on which work is queued.
        capturing: whether work is collected into a graph at present.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.driver = device.driver
        self.main = self.current = device.create_stream()
        self.capturing = False
        self._named: dict[str, Handle] = {}
        self._order = self.driver.create_event()
        self._timing_events: list[Handle] = []

    def named(self, name: str) -> Handle:
        """Give the stream of that name, made when it is first asked for."""
        if name not in self._named:
            self._named[name] = self.device.create_stream()
        return self._named[name]

    def order(self, first: Handle, second: Handle) -> None:
        """Let the second stream wait for what is queued on the first one so far."""
        if first != second:
            self.driver.record_event(self._order, first)
            self.driver.wait_for_event(second, self._order)

    @contextmanager
    def fork(self, name: str) -> Iterator[None]:
        """Queue the block's work on the stream of that name, after what is queued on the current one so far.

        The current stream goes on beside it; `join` before it uses what the block made.
        """
        before, branch = self.current, self.named(name)
        self.order(before, branch)
        self.current = branch
        try:
            yield
        finally:
            self.current = before

    def join(self, *names: str) -> None:
        """Let the current stream wait for what is queued on the named ones so far."""
        for name in names:
            self.order(self.named(name), self.current)

    def synchronize(self) -> None:
        """Wait until everything that is queued on any of the streams is done."""
        for stream in (self.main, *self._named.values()):
            self.driver.synchronize(stream)

    def take_timing_event(self) -> Handle:
        """Give an event that remembers its time, one that was given back if there is any."""
        return self._timing_events.pop() if self._timing_events else self.driver.create_event(timing=True)

    def give_timing_event(self, event: Handle) -> None:
        """Take an event back for the next time."""
        self._timing_events.append(event)

    def close(self) -> None:
        """Wait for all work and give the streams back."""
        self.synchronize()
        for stream in (self.main, *self._named.values()):
            self.device.destroy_stream(stream)
        for event in (self._order, *self._timing_events):
            self.driver.destroy_event(event)
        self._named, self._timing_events = {}, []


class EventTimer(StageTimer):
    """Collects the GPU's time of named stages, in the order in which they first ran, without making it wait.

    A stage must not begin or end inside of captured work.
    """

    def __init__(self, streams: Streams) -> None:
        super().__init__()
        self._streams = streams
        self._pending: list[tuple[str, Handle, Handle]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time that the work takes which the block queues on the current stream to the stage `name`."""
        if self._streams.capturing:
            raise RuntimeError("a stage must not begin inside of captured work")
        begin, end = self._streams.take_timing_event(), self._streams.take_timing_event()
        stream = self._streams.current
        self._streams.driver.record_event(begin, stream)
        try:
            yield
        finally:
            self._streams.driver.record_event(end, stream)
            self._pending.append((name, begin, end))

    @property
    def stage_ms(self) -> dict[str, float]:
        """The milliseconds of each stage; waits for the stages to end."""
        driver = self._streams.driver
        for name, begin, end in self._pending:
            driver.synchronize_event(end)
            self._stage_ms[name] = self._stage_ms.get(name, 0.0) + driver.elapsed_ms(begin, end)
            self._streams.give_timing_event(begin)
            self._streams.give_timing_event(end)
        self._pending.clear()
        return self._stage_ms

    def __del__(self) -> None:
        for _, begin, end in self._pending:  # of a frame that failed
            self._streams.give_timing_event(begin)
            self._streams.give_timing_event(end)
