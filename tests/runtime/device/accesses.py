"""Who used which memory in which order: the check that a stream waited for what another one did there.

Happens-before by vector clocks (Lamport, CACM 1978; Mattern 1989): each stream counts what it does, and knows of every
other stream how far that one was when it last waited for it.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

Clock = dict[int, int]


class HarnessError(AssertionError):
    """A mistake that a real GPU would not report: it would give wrong results now and then."""


def merged(first: Clock, second: Clock) -> Clock:
    return {stream: max(first.get(stream, 0), second.get(stream, 0)) for stream in first | second}


class Access(NamedTuple):
    begin: int
    end: int
    stream: int
    tick: int
    writes: bool


@dataclass
class Buffer:
    """Memory of the device, or pinned memory, which is the host's as well."""

    memory: np.ndarray
    name: str
    freed: bool = False
    #: Whether anything was written to it: what a kernel is first given an array for is to fill it.
    filled: bool = False
    accesses: list[Access] = field(default_factory=list)

    @property
    def address(self) -> int:
        return self.memory.ctypes.data

    def bytes(self, address: int, size: int) -> np.ndarray:
        begin = address - self.address
        if begin + size > self.memory.size:
            raise HarnessError(f"{size} bytes from {begin} on reach beyond {self.name} of {self.memory.size} bytes")
        return self.memory[begin : begin + size]

    def access(self, begin: int, end: int, stream: int, clock: Clock, writes: bool) -> None:
        """Note that the stream reads or writes these addresses, at the tick of its clock."""
        if self.freed:
            raise HarnessError(f"stream {stream} uses {self.name}, which was freed")
        for other in self.accesses:
            overlaps = other.begin < end and begin < other.end
            if overlaps and (writes or other.writes) and other.tick > clock.get(other.stream, 0):
                raise HarnessError(
                    f"stream {stream} {'writes' if writes else 'reads'} {self.name}, which stream {other.stream} "
                    f"{'wrote' if other.writes else 'read'}, without waiting for it"
                )
        if writes:  # later ones that are ordered after this one are ordered after those before
            self.accesses = [a for a in self.accesses if not (begin <= a.begin and a.end <= end)]
        now = Access(begin, end, stream, clock[stream], writes)
        self.accesses = [a for a in self.accesses if a._replace(tick=now.tick) != now] + [now]


class HostMemory:
    """All memory that was ever given out; what was freed is not given out again, so that a later use of it shows."""

    def __init__(self) -> None:
        self.buffers: dict[int, Buffer] = {}
        self._starts: list[int] = []

    def used_bytes(self, kind: str = "") -> int:
        """The size of what is not freed and has this in its name."""
        return sum(one.memory.size for one in self.buffers.values() if not one.freed and kind in one.name)

    def add(self, size_bytes: int, name: str) -> Buffer:
        """Make memory that is full of rubbish."""
        memory = np.full(-(-size_bytes // 64) * 8 + 8, -1, np.int64).view(np.uint8)
        skip = -memory.ctypes.data % 64
        buffer = Buffer(memory[skip : skip + size_bytes], name)
        self.buffers[buffer.address] = buffer
        bisect.insort(self._starts, buffer.address)
        return buffer

    def find(self, address: int) -> Buffer:
        """The memory that an address lies in."""
        index = bisect.bisect_right(self._starts, address) - 1
        buffer = self.buffers[self._starts[index]] if index >= 0 else None
        if buffer is None or address > buffer.address + buffer.memory.size:
            raise HarnessError(f"there is no memory at {address}")
        return buffer
