"""A GPU as the executor sees it: `perception.runtime.place` has the CPU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from perception.configuration import ConfigurationError
from perception.ops import binding
from perception.ops.arrays import Array
from perception.ops.tuning import ConvolutionTuner
from perception.runtime.dense.region import DenseRegion
from perception.runtime.device.arrays import DeviceArray
from perception.runtime.device.device import Device, gpu_index, open_device
from perception.runtime.device.graphs import with_graphs
from perception.runtime.device.pinned import Staging
from perception.runtime.device.streams import EventTimer, Streams
from perception.runtime.device.tuning import tuner_of
from perception.runtime.place import HOST, Place


def open_place(device: str) -> Place:
    """Give the memory of a device by its name: cpu, cuda, or cuda:N.

    Raises:
        ConfigurationError: there is no such GPU, or nothing that can use it.
    """
    index = gpu_index(device)
    if index is None:
        return HOST
    if not binding.has_cuda():
        raise ConfigurationError(
            f"device '{device}': the kernels were built without CUDA; build them where nvcc is installed, or use 'cpu'"
        )
    return GpuPlace(open_device(index))


class GpuArena:
    """GPU memory that holds many values at planned offsets."""

    def __init__(self, streams: Streams, size: int) -> None:
        self._streams = streams
        self._memory = DeviceArray.empty(streams, (size,), np.uint8)
        # As in perception.ops: with this set, tests notice a cell that a kernel never writes.
        self._poison = os.environ.get("PERCEPTION_KERNELS_POISON") == "1"

    def view(self, offset: int, shape: Sequence[int], dtype: DTypeLike) -> DeviceArray:
        """Give an array of undefined contents on a part of it."""
        part = self._memory.part(tuple(shape), dtype, offset)
        if self._poison and part.nbytes and not self._streams.capturing:
            self._streams.driver.fill(part.address, 0xFF, part.nbytes, self._streams.current)
        return part


class GpuPlace:
    """The memory of a GPU, with the streams of one engine."""

    def __init__(self, device: Device) -> None:
        self.streams = Streams(device)
        self.tuner: ConvolutionTuner | None = tuner_of(self.streams)
        self._staging = Staging(self.streams)

    def upload(self, array: NDArray[Any]) -> DeviceArray:
        """Copy a CPU array to the GPU."""
        return self._staging.upload(array)

    def download(self, array: Array) -> NDArray[Any]:
        """Wait for an array, and copy it to the CPU; a CPU array is given back as it is."""
        return self._staging.download(array).result() if isinstance(array, DeviceArray) else array

    def arena(self, size: int) -> GpuArena:
        """Allocate a piece of memory of so many bytes."""
        return GpuArena(self.streams, size)

    def timer(self) -> EventTimer:
        """Make a timer of what the GPU does; its times include waiting for the CPU."""
        return EventTimer(self.streams)

    def prepare_region(self, region: DenseRegion, name: str) -> DenseRegion:
        """Let a dense region be launched as a CUDA graph if its shapes are fixed."""
        return with_graphs(self.streams, region, name)

    def close(self) -> None:
        """Wait for all work and give the streams back."""
        self.streams.synchronize()
        self._staging.close()
        self.streams.close()
