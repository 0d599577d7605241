"""Arrays at the border to native code: NumPy arrays and CPU torch tensors alike, checked and never copied."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


def as_array(value: Any, dtype: DTypeLike, shape: tuple[int | None, ...], name: str) -> NDArray[Any]:
    """View a NumPy array or CPU torch tensor as a dense NumPy array of the wanted type and shape (None: any size).

    Raises:
        ValueError: another kind of value, type, shape or memory layout; nothing is converted in silence.
    """
    array = view(value, name)
    if array.dtype != np.dtype(dtype):
        raise ValueError(f"{name} must be {np.dtype(dtype).name}, found {array.dtype.name}")
    check_shape(array, shape, name)
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} must be contiguous; pass a contiguous copy")
    return array


def view(value: Any, name: str) -> NDArray[Any]:
    """View a NumPy array or CPU torch tensor as a NumPy array, without a copy."""
    if hasattr(value, "detach"):  # a torch tensor; torch itself is not imported here
        if value.device.type != "cpu":
            raise ValueError(f"{name} lies on {value.device}; only CPU memory can be used here")
        value = value.detach().numpy()
    if not hasattr(value, "__array_interface__"):
        raise ValueError(f"{name} must be a NumPy array or a CPU torch tensor, found {type(value).__name__}")
    return np.asarray(value)


def check_shape(array: NDArray[Any], shape: tuple[int | None, ...], name: str) -> None:
    """Raise ValueError unless the array has the shape, where None allows any size."""
    sizes = zip(array.shape, shape, strict=False)
    if array.ndim != len(shape) or any(wanted not in (None, size) for size, wanted in sizes):
        text = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} must have the shape [{text}], found {list(array.shape)}")


def address(array: NDArray[Any] | None) -> int | None:
    """Give the address of an array's first element, for a call that keeps the array alive meanwhile; None for none."""
    return None if array is None else array.ctypes.data
