"""Arrays at the border to native code, checked and never copied.

On the CPU: NumPy arrays and torch tensors, results as NumPy arrays. On a GPU: torch tensors, PyCUDA arrays and whatever
else has a `__cuda_array_interface__`; results are of the kind of the inputs.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from perception.ops import memory

#: Device of CPU memory; GPUs count from 0.
CPU = -1
#: A NumPy array, or an array on a GPU with at least `shape` and `__cuda_array_interface__`.
Array: TypeAlias = Any
#: Types that features may be stored as, and what the library calls them (pk_dtype).
DTYPE_CODES = {np.dtype(np.float32): 0, np.dtype(np.float16): 1}
# Outputs start as rubbish where this is set, so that tests notice a cell that a kernel never writes.
_POISON = os.environ.get("PERCEPTION_KERNELS_POISON") == "1"


_BYTE = ctypes.c_char


class Place(NamedTuple):
    """Where an array lies and in which order its work is queued.

    Attributes:
        device: CPU, or the index of a GPU.
        stream: address of a CUDA stream; None is the default stream.
    """

    device: int
    stream: int | None = None


_CPU_PLACE = Place(CPU)


def as_array(value: Any, dtype: DTypeLike, shape: tuple[int | None, ...], name: str) -> Array:
    """Check that an array is dense, of the wanted type and shape (None: any size); CPU arrays become NumPy arrays.

    Raises:
        ValueError: another kind of value, type, shape or memory layout; nothing is converted in silence.
    """
    array = view(value, name)
    found, contiguous = _layout(array)
    if found != dtype:
        raise ValueError(f"{name} must be {np.dtype(dtype).name}, found {found.name}")
    check_shape(array, shape, name)
    if not contiguous:
        raise ValueError(f"{name} must be contiguous; pass a contiguous copy")
    return array


def view(value: Any, name: str) -> Array:
    """View a CPU array as a NumPy array, without a copy; leave an array on a GPU as it is."""
    if type(value) is np.ndarray:
        return value
    if hasattr(value, "detach"):  # a torch tensor; torch itself is not imported here
        if value.device.type == "cuda":
            return value.detach()
        if value.device.type != "cpu":
            raise ValueError(f"{name} lies on {value.device}; only CPU and CUDA memory can be used here")
        value = value.detach().numpy()
    if _on_gpu(value):
        return value
    if not hasattr(value, "__array_interface__"):
        raise ValueError(f"{name} must be a NumPy array, torch tensor or CUDA array, found {type(value).__name__}")
    return np.asarray(value)


def dtype_of(value: Any, name: str) -> np.dtype[Any]:
    """Tell the type of an array's elements, for operations that accept several."""
    return _layout(view(value, name))[0]


def float_dtype(value: Any, name: str) -> np.dtype[Any]:
    """Tell the type of features; anything but float32 and float16 is a ValueError."""
    dtype = dtype_of(value, name)
    if dtype not in DTYPE_CODES:
        raise ValueError(f"{name} must be float32 or float16, found {dtype.name}")
    return dtype


def as_features(value: Any, name: str, columns: int | None = None) -> tuple[Array, np.dtype[Any], int]:
    """Check dense float32 or float16 features [N, columns], and tell their type and its code (pk_dtype)."""
    dtype = float_dtype(value, name)
    return as_array(value, dtype, (None, columns), name), dtype, DTYPE_CODES[dtype]


def check_shape(array: Array, shape: tuple[int | None, ...], name: str) -> None:
    """Raise ValueError unless the array has the shape, where None allows any size."""
    found = array.shape
    fits = len(found) == len(shape)
    for size, wanted in zip(found, shape, strict=False):
        fits &= wanted is None or size == wanted
    if not fits:
        text = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} must have the shape [{text}], found {list(found)}")


def empty(like: Array, shape: Sequence[int] | int, dtype: DTypeLike) -> Array:
    """Make an array of undefined contents of the same kind and in the same place as another one."""
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if isinstance(like, np.ndarray):
        if not _POISON:
            return memory.empty(sizes, dtype)
        array = np.empty(sizes, dtype)  # each in memory of its own, so that a sanitizer sees what reaches beyond
        array.reshape(-1).view(np.uint8).fill(0xFF)
        return array
    if hasattr(like, "detach"):
        return _empty_tensor(like, sizes, np.dtype(dtype))
    if hasattr(like, "new_empty"):
        return like.new_empty(sizes, np.dtype(dtype))
    return type(like)(sizes, np.dtype(dtype), allocator=like.allocator)  # pycuda.gpuarray.GPUArray


def output(
    out: Any,
    like: Array,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    apart_from: Sequence[Array | None] = (),
    in_place_of: Sequence[Array | None] = (),
) -> Array:
    """Take the array that a caller wants results in, or make one of undefined contents.

    Args:
        out: of the wanted shape and type, contiguous and writable; its contents are overwritten. None: a new array.
        like: an input; the result is of its kind and lies where it does.
        shape: of the result.
        dtype: of the result.
        apart_from: inputs that are read after parts of the result are written: it must not share memory with them.
        in_place_of: inputs whose elements are read just before the same element is written, so that the result may be
            that very array; it must not overlap one in another way.

    Raises:
        ValueError: an array that does not fit, is read-only, or overlaps an input.
    """
    if out is None:
        return empty(like, shape, dtype)
    array = as_array(out, dtype, shape, "out")
    if not _writable(array):
        raise ValueError("out must be writable, but it is read-only")
    extent = _extent(array)
    for other in apart_from:
        _require_apart(extent, None if other is None else _extent(other))
    for other in in_place_of:
        same = None if other is None else _extent(other)
        _require_apart(extent, None if same == extent else same)
    return array


def address(array: Array | None) -> int | None:
    """Give the address of an array's first element, for a call that keeps the array alive meanwhile; None for none."""
    if array is None:
        return None
    if isinstance(array, np.ndarray):
        if array.size and array.flags.writeable and array.flags.c_contiguous:
            buffer: Any = array
            return ctypes.addressof(_BYTE.from_buffer(buffer))  # a fifth of the time of the next line
        return array.ctypes.data
    return int(array.__cuda_array_interface__["data"][0]) or None


def is_array(value: Any) -> bool:
    """Whether a value lies in memory that a kernel can be given by its address."""
    return isinstance(value, np.ndarray) or _on_gpu(value)


def place_of(array: Array) -> Place:
    """Tell where an array lies, with the stream on which its library works at present."""
    if isinstance(array, np.ndarray):
        return _CPU_PLACE
    if hasattr(array, "detach"):
        return Place(array.device.index, _torch().cuda.current_stream(array.device).cuda_stream or None)
    return Place(int(getattr(array, "device_index", 0)), getattr(array, "stream_address", None))


def common_place(what: str, arrays: Sequence[Array]) -> Place:
    """Tell where all arrays of a call lie; the CPU if there are none.

    Raises:
        ValueError: they lie in different places.
    """
    if all(isinstance(array, np.ndarray) for array in arrays):
        return _CPU_PLACE
    places = [place_of(array) for array in arrays]
    devices = sorted({place.device for place in places})
    if len(devices) > 1:
        names = " and ".join("the CPU" if device == CPU else f"GPU {device}" for device in devices)
        raise ValueError(f"{what}: the arrays lie on {names}; move them to one device first")
    return next((place for place in places if place.stream is not None), places[0])


def _on_gpu(value: Any) -> bool:
    if hasattr(value, "detach"):
        return bool(value.device.type == "cuda")
    return hasattr(value, "__cuda_array_interface__")


def _extent(array: Array) -> tuple[int, int]:
    """Addresses of an array's first byte and of the byte behind its last; rows may lie apart."""
    begin = address(array) or 0
    dtype, dense = _layout(array)
    if dense or prod(array.shape) == 0:
        return begin, begin + prod(array.shape) * dtype.itemsize
    strides = array.strides if isinstance(array, np.ndarray) else array.__cuda_array_interface__["strides"]
    last = sum((size - 1) * stride for size, stride in zip(array.shape, strides, strict=True))
    return begin, begin + last + dtype.itemsize


def _require_apart(a: tuple[int, int], b: tuple[int, int] | None) -> None:
    if b is not None and max(a[0], b[0]) < min(a[1], b[1]):
        raise ValueError("out must not overlap an input of the call; give it memory of its own")


def _writable(array: Array) -> bool:
    if isinstance(array, np.ndarray):
        return array.flags.writeable
    return not array.__cuda_array_interface__["data"][1]


def _layout(array: Array) -> tuple[np.dtype[Any], bool]:
    """Type of the elements, and whether they lie dense and row-major."""
    if isinstance(array, np.ndarray):
        return array.dtype, array.flags.c_contiguous
    interface = array.__cuda_array_interface__
    dtype, strides = np.dtype(interface["typestr"]), interface.get("strides")
    if strides is None:
        return dtype, True
    dense = dtype.itemsize * np.cumprod((1, *interface["shape"][:0:-1]))[::-1]
    return dtype, 0 in interface["shape"] or tuple(strides) == tuple(dense)


def _empty_tensor(like: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    value = like.new_empty(shape, dtype=getattr(_torch(), dtype.name))
    if _POISON:
        value.reshape(-1).view(_torch().uint8).fill_(255)
    return value


def _torch() -> Any:
    return sys.modules["torch"]  # who hands a tensor over has imported it; this package does not
