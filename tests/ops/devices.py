"""Where the tests of the operations run: the CPU, the emulated GPU, or a real one (`pytest --device`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

KINDS = ("cpu", "emulated", "cuda")


class EmulatedArray:
    """An array in the emulated GPU's memory, which is CPU memory that only kernels touch."""

    device_index = 0

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        address = (self.values.ctypes.data if self.values.size else 0, False)
        strides = None if self.values.flags.c_contiguous else self.values.strides
        return {
            "shape": self.shape,
            "typestr": self.values.dtype.str,
            "data": address,
            "strides": strides,
            "version": 3,
        }

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, part: slice | tuple[slice, ...]) -> EmulatedArray:
        return EmulatedArray(self.values[part])

    def reshape(self, *shape: int) -> EmulatedArray:
        return EmulatedArray(self.values.reshape(*shape))

    def new_empty(self, shape: tuple[int, ...], dtype: np.dtype) -> EmulatedArray:
        """Rubbish, so that a cell that no kernel writes shows."""
        values = np.empty(shape, dtype)
        values.reshape(-1).view(np.uint8).fill(0xFF)
        return EmulatedArray(values)


class Device:
    """Puts arrays where the calls of a test shall run, and brings results back."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def array(self, values: Any) -> Any:
        """Put a copy of a dense NumPy array on the device."""
        values = np.ascontiguousarray(values)
        if self.kind == "cpu":
            return values
        if self.kind == "emulated":
            return EmulatedArray(values.copy())
        import torch

        return torch.from_numpy(values.copy()).cuda()

    def numpy(self, result: Any) -> Any:
        """Bring an array, or every array of a tuple, to the CPU."""
        if isinstance(result, tuple):
            values = [self.numpy(value) for value in result]
            return type(result)(*values) if hasattr(result, "_fields") else tuple(values)
        if isinstance(result, EmulatedArray):
            return result.values
        return result.cpu().numpy() if hasattr(result, "cpu") else result


def run(operation: Callable[..., Any], device: Device, *arrays: Any, **options: Any) -> Any:
    """Call an operation on a device with NumPy arrays; None and plain values stay as they are."""
    arguments = [device.array(value) if isinstance(value, np.ndarray) else value for value in arrays]
    return device.numpy(operation(*arguments, **options))
