"""Lets the stand-in driver see what kernels do with memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from perception.ops import binding
from perception.runtime.device.memory import Block
from tests.runtime.device.host_driver import HostDriver


@contextmanager
def watched(driver: HostDriver, monkeypatch: Any) -> Iterator[None]:
    """Let the driver see what kernels are given: uses of memory in the order of streams, and captures."""
    use, call = Block.use, binding.call

    def watched_use(block: Block, stream: int) -> None:
        use(block, stream)
        driver.touch(block.address, block.size_bytes, stream)

    def watched_call(function: str, *arguments: Any, **options: Any) -> None:
        place = binding.common_place(function, [a for a in (*arguments, options.get("on")) if binding.is_array(a)])
        if place.device < 0:
            call(function, *arguments, **options)
        else:
            driver.kernel(place.stream or 0, lambda: call(function, *arguments, **options))

    monkeypatch.setattr(Block, "use", watched_use)
    monkeypatch.setattr(binding, "call", watched_call)
    yield
    assert driver.errors == []
