"""Where a network's arrays lie: the CPU here; `perception.runtime.device` has the GPU."""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from perception.ops.arrays import Array
from perception.ops.tuning import ConvolutionTuner
from perception.runtime.dense.region import DenseRegion
from perception.runtime.timing import StageTimer


class Arena(Protocol):
    """One piece of memory that holds many values at planned offsets."""

    def view(self, offset: int, shape: Sequence[int], dtype: DTypeLike) -> Array:
        """An array of undefined contents on a part of it, beginning `offset` bytes from its start."""


class Place(Protocol):
    """Memory and copies of one device.

    Attributes:
        tuner: chooses how convolutions are computed there; None where there is nothing to choose.
    """

    tuner: ConvolutionTuner | None

    def upload(self, array: NDArray[Any]) -> Array:
        """Bring a dense CPU array there; the same array where that is the CPU."""

    def download(self, array: Array) -> NDArray[Any]:
        """Bring an array from there; the same array where that is the CPU."""

    def arena(self, size: int) -> Arena:
        """Allocate a piece of memory of so many bytes."""

    def timer(self) -> StageTimer:
        """Make a timer of the stages of a frame."""

    def prepare_region(self, region: DenseRegion, name: str) -> DenseRegion:
        """Give what runs a dense region best there."""

    def close(self) -> None:
        """Wait for all work there; nothing can be done with its arrays afterwards."""


class HostArena:
    """CPU memory."""

    def __init__(self, size: int) -> None:
        # A mapping of its own: in the heap it would leave a hole each time that a network is swapped.
        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        mapping = mmap.mmap(-1, max(size, 1), flags=private)
        if hasattr(mmap, "MADV_HUGEPAGE"):  # Linux; NumPy asks for it too. Kernels write many rows to many pages.
            with suppress(OSError):  # a kernel without huge pages
                mapping.madvise(mmap.MADV_HUGEPAGE)
        self._memory = np.frombuffer(mapping, np.uint8)
        # As in perception.ops: with this set, tests notice a cell that a kernel never writes.
        self._poison = os.environ.get("PERCEPTION_KERNELS_POISON") == "1"

    def view(self, offset: int, shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
        """See `Arena.view`."""
        size = int(math.prod(shape)) * np.dtype(dtype).itemsize
        part = self._memory[offset : offset + size]
        if self._poison:
            part.fill(0xFF)
        return part.view(dtype).reshape(shape)


class HostPlace:
    """The CPU: nothing is copied."""

    tuner: ConvolutionTuner | None = None

    def upload(self, array: NDArray[Any]) -> NDArray[Any]:
        """See `Place.upload`."""
        return array

    def download(self, array: Array) -> NDArray[Any]:
        """See `Place.download`."""
        result: NDArray[Any] = array
        return result

    def arena(self, size: int) -> HostArena:
        """See `Place.arena`."""
        return HostArena(size)

    def timer(self) -> StageTimer:
        """See `Place.timer`."""
        return StageTimer()

    def prepare_region(self, region: DenseRegion, name: str) -> DenseRegion:
        """See `Place.prepare_region`."""
        return region

    def close(self) -> None:
        """See `Place.close`."""


HOST = HostPlace()
