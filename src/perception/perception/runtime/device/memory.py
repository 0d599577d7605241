"""Device memory: given out and taken back in the order of streams, counted, and limited where the board is small."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from perception.ops import memory
from perception.runtime.device.driver import Driver, Handle


class Block:
    """Some memory of a pool, which gets it back when the last array on it is gone.

    Attributes:
        address: where it begins.
        size_bytes: how large it is.
        stream: whose order it was allocated in, and is freed in.
    """

    __slots__ = ("_pool", "_users", "address", "size_bytes", "stream")

    def __init__(self, pool: MemoryPool, address: int, size_bytes: int, stream: Handle) -> None:
        self._pool = pool
        self._users: set[Handle] = set()
        self.address = address
        self.size_bytes = size_bytes
        self.stream = stream

    def use(self, stream: Handle) -> None:
        """Remember that a stream uses it: the memory is not used again before that work is done."""
        if stream != self.stream:
            self._users.add(stream)

    def __del__(self) -> None:
        self._pool.give_back(self.address, self.size_bytes, self.stream, self._users)


class MemoryPool:
    """Memory of one GPU for all engines of the process.

    Where the driver allocates in the order of streams, the driver keeps what is free; kernels take their temporary
    memory from there too. Elsewhere this pool keeps it, by stream and size.

    Attributes:
        used_bytes: in use at present.
        high_water_bytes: the most that ever was in use.
        kept_bytes: unused, kept by this pool.
        limit_bytes: what may be in use at most; None is all there is.
        streams: those that exist; memory is not ordered after streams that are gone, for they were waited for.
    """

    def __init__(self, driver: Driver, limit_bytes: int | None = None) -> None:
        self._driver = driver
        self._ordered = driver.properties.stream_ordered_memory
        self._unused: dict[tuple[Handle, int], list[int]] = {}
        self._held: list[tuple[int, int, Handle, set[Handle]]] = []
        self._holders = 0
        self._lock = threading.RLock()  # the garbage collector may give back memory in the middle of a call
        self._closed = False
        self._event = driver.create_event()
        self.streams: set[Handle] = {0}
        self.limit_bytes = limit_bytes
        self.used_bytes = self.high_water_bytes = self.kept_bytes = 0
        driver.keep_unused(memory.most_kept_bytes())

    def allocate(self, size_bytes: int, stream: Handle) -> Block:
        """Give memory for work that is queued on the stream from now on; its contents are undefined.

        Raises:
            MemoryError: the GPU has no more, or the limit is reached.
        """
        size = size_bytes if self._ordered else memory.rounded(max(size_bytes, 512))
        with self._lock:
            if self.limit_bytes is not None and self.used_bytes + size > self.limit_bytes:
                raise MemoryError(
                    f"{size / 1e6:.1f} MB of GPU memory asked for, {self.used_bytes / 1e6:.1f} MB of the limit of "
                    f"{self.limit_bytes / 1e6:.1f} MB are in use"
                )
            address = self._take(size, stream)
            self.used_bytes += size
            self.high_water_bytes = max(self.high_water_bytes, self.used_bytes)
        return Block(self, address, size, stream)

    def give_back(self, address: int, size_bytes: int, stream: Handle, users: set[Handle]) -> None:
        """Take memory back after what its streams have queued; blocks call this when they go."""
        with self._lock:
            if self._closed:
                return
            if self._holders:
                self._held.append((address, size_bytes, stream, users))
                return
            self.used_bytes -= size_bytes
            home = stream if stream in self.streams else 0  # whose work was waited for
            for user in users & self.streams:
                self._driver.record_event(self._event, user)
                self._driver.wait_for_event(home, self._event)
            full = self.kept_bytes + size_bytes > memory.most_kept_bytes()
            if self._ordered or full or home != stream:  # nobody would ask for memory of a stream that is gone
                self._driver.free(address, home)
            else:
                self._unused.setdefault((home, size_bytes), []).append(address)
                self.kept_bytes += size_bytes

    @contextmanager
    def held(self) -> Iterator[None]:
        """Take nothing back during the block: while work is captured, memory of before must not be freed by it."""
        with self._lock:
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                held, self._held = self._held, []
                for block in held:
                    self.give_back(*block)

    def forget_stream(self, stream: Handle) -> None:
        """Forget a stream whose work is done and which is about to be destroyed."""
        with self._lock:
            self.streams.discard(stream)
            self._free_unused([key for key in self._unused if key[0] == stream])

    def release(self) -> None:
        """Give all unused memory back to the driver."""
        with self._lock:
            self._free_unused(list(self._unused))
            self._driver.release_unused()

    def close(self) -> None:
        """Stop before the driver goes: arrays that are still there are left to the end of the process."""
        with self._lock:
            self._free_unused(list(self._unused))
            self._closed = True

    def _take(self, size: int, stream: Handle) -> int:
        kept = self._unused.get((stream, size))
        if kept:
            self.kept_bytes -= size
            return kept.pop()
        try:
            return self._driver.allocate(size, stream)
        except MemoryError:
            self.release()
            return self._driver.allocate(size, stream)

    def _free_unused(self, keys: list[tuple[Handle, int]]) -> None:
        for key in keys:
            for address in self._unused.pop(key):
                self._driver.free(address, key[0])
                self.kept_bytes -= key[1]
