"""Arrays in the memory of a GPU, as far as the runtime needs them: made, viewed, copied; kernels do the rest."""

from __future__ import annotations

import math
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from perception.ops import memory
from perception.runtime.device.driver import Handle
from perception.runtime.device.streams import Streams


class Owner(Protocol):
    """Memory that arrays keep alive: a block of a pool, or pinned memory that the GPU reaches."""

    address: int
    size_bytes: int

    def use(self, stream: Handle) -> None:
        """Remember that a stream uses it."""


class DeviceArray:
    """A dense, row-major array on a GPU. The operations of `perception.ops` take it and give such arrays back.

    Its work is queued on the stream that is current when it is used. Views share memory, which is given back, in the
    order of the streams that used it, when the last of them is gone.

    Attributes:
        shape: sizes.
        dtype: type of the elements.
        nbytes: size in memory.
    """

    __slots__ = ("_interface", "_offset_bytes", "_owner", "_streams", "dtype", "nbytes", "shape")

    def __init__(
        self, streams: Streams, owner: Owner, shape: tuple[int, ...], dtype: DTypeLike, offset_bytes: int = 0
    ) -> None:
        """View a part of some memory; ValueError if it is not large enough."""
        self._streams = streams
        self._owner = owner
        self._offset_bytes = offset_bytes
        self._interface: dict[str, Any] | None = None
        self.shape = tuple(map(int, shape))
        self.dtype = np.dtype(dtype)
        self.nbytes = math.prod(self.shape) * self.dtype.itemsize
        if not 0 <= offset_bytes <= owner.size_bytes - self.nbytes:
            raise ValueError(
                f"{self.dtype.name} {list(self.shape)} from byte {offset_bytes} on does not fit into "
                f"{owner.size_bytes} bytes"
            )

    @classmethod
    def empty(cls, streams: Streams, shape: tuple[int, ...], dtype: DTypeLike) -> DeviceArray:
        """Make an array of undefined contents.

        Raises:
            MemoryError: the GPU has no more memory.
            RuntimeError: work is being captured, which must use memory that is there before and after it.
        """
        if streams.capturing:
            raise RuntimeError("captured work must not allocate memory; make its arrays before")
        size_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        return cls(streams, streams.device.pool.allocate(max(size_bytes, 1), streams.current), shape, dtype)

    @classmethod
    def from_host(cls, streams: Streams, values: NDArray[Any]) -> DeviceArray:
        """Copy an array of the CPU to the GPU."""
        array = cls.empty(streams, values.shape, values.dtype)
        array.copy_from(values)
        return array

    @property
    def device_index(self) -> int:
        """Which GPU it lies on."""
        return self._streams.device.properties.index

    @property
    def stream_address(self) -> int | None:
        """The stream on which a call that uses it is queued; None is the default stream."""
        return self._streams.current or None

    @property
    def address(self) -> int:
        """Where it begins."""
        return self._owner.address + self._offset_bytes

    @property
    def size(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        self._owner.use(self._streams.current)
        if self._interface is None:  # asked for several times in each call of a kernel
            data = (self.address if self.nbytes else 0, False)
            self._interface = {"shape": self.shape, "typestr": self.dtype.str, "data": data, "version": 3}
        return self._interface

    def __len__(self) -> int:
        return self.shape[0]

    @overload
    def __getitem__(self, key: slice) -> DeviceArray: ...

    @overload
    def __getitem__(self, key: tuple[slice, slice]) -> DeviceColumns: ...

    def __getitem__(self, key: slice | tuple[slice, slice]) -> DeviceArray | DeviceColumns:
        """View neighbouring rows, array[first:last], or neighbouring columns of rows, array[:, first:last]."""
        rows, columns = key if isinstance(key, tuple) else (key, None)
        if not isinstance(rows, slice) or rows.step not in (None, 1):
            raise TypeError("an array on a GPU gives neighbouring rows only: array[first:last]")
        if columns is not None:
            return DeviceColumns(self[rows], columns)
        begin, end, _ = rows.indices(len(self))
        row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        return self.part((max(end - begin, 0), *self.shape[1:]), self.dtype, begin * row_bytes)

    def part(self, shape: tuple[int, ...], dtype: DTypeLike, offset_bytes: int = 0) -> DeviceArray:
        """View the memory from a byte of this array on as another array, as in an arena."""
        return DeviceArray(self._streams, self._owner, shape, dtype, self._offset_bytes + offset_bytes)

    def reshape(self, *shape: int | tuple[int, ...]) -> DeviceArray:
        """View it in another shape of as many elements, of which one may be -1."""
        sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape
        # NumPy knows the rules; its array has no memory of its own
        wanted = np.broadcast_to(np.uint8(0), (self.size,)).reshape(*sizes).shape  # type: ignore[arg-type]
        return self.part(wanted, self.dtype)

    def new_empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> DeviceArray:
        """Make an array of undefined contents on the same GPU."""
        return DeviceArray.empty(self._streams, shape, dtype)

    def copy_from(self, source: NDArray[Any] | DeviceArray) -> None:
        """Copy from an array of the same shape and type: queued for one on this GPU, waited for if it is the CPU's.

        Raises:
            ValueError: shape or type differ.
        """
        if source.shape != self.shape or source.dtype != self.dtype:
            raise ValueError(
                f"{source.dtype.name} {list(source.shape)} cannot be copied to {self.dtype.name} {list(self.shape)}"
            )
        if self.nbytes:
            self._streams.driver.copy(self.used_address(), _memory(source), self.nbytes, self._streams.current)
            if not isinstance(source, DeviceArray):
                self._streams.driver.synchronize(self._streams.current)

    def to_host(self) -> NDArray[Any]:
        """Wait for what is queued on the current stream, and copy the array to the CPU."""
        values = memory.empty(self.shape, self.dtype)
        if self.nbytes:
            self._streams.driver.copy(_memory(values), self.used_address(), self.nbytes, self._streams.current)
            self._streams.driver.synchronize(self._streams.current)
        return values

    def used_address(self) -> int:
        """Tell where it begins, for something that is queued on the current stream now."""
        self._owner.use(self._streams.current)
        return self.address


class DeviceColumns:
    """Neighbouring columns of an array: dense rows that lie apart, for operations that take such rows.

    Attributes:
        shape: rows and columns.
        dtype: type of the elements.
    """

    __slots__ = ("_array", "_first", "dtype", "shape")

    def __init__(self, array: DeviceArray, columns: slice) -> None:
        """View columns of an array [N, C]; TypeError if they are not neighbours."""
        if len(array.shape) != 2 or not isinstance(columns, slice) or columns.step not in (None, 1):
            raise TypeError("an array on a GPU gives neighbouring columns of rows only: array[:, first:last]")
        self._first, end, _ = columns.indices(array.shape[1])
        self._array = array
        self.shape = (array.shape[0], max(end - self._first, 0))
        self.dtype = array.dtype

    @property
    def device_index(self) -> int:
        """Which GPU it lies on."""
        return self._array.device_index

    @property
    def stream_address(self) -> int | None:
        """The stream on which a call that uses it is queued; None is the default stream."""
        return self._array.stream_address

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        interface, item = self._array.__cuda_array_interface__, self.dtype.itemsize
        address, read_only = interface["data"]
        begin = address + self._first * item if address and self.shape[1] else 0
        strides = (self._array.shape[1] * item, item)
        return {**interface, "shape": self.shape, "strides": strides, "data": (begin, read_only)}

    def new_empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> DeviceArray:
        """Make an array of undefined contents on the same GPU."""
        return self._array.new_empty(shape, dtype)


def _memory(array: NDArray[Any] | DeviceArray) -> int | NDArray[np.uint8]:
    """An array as the driver's copies want it."""
    if isinstance(array, DeviceArray):
        return array.used_address()
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
