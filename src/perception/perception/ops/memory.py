"""Memory of large CPU arrays, used again when the arrays of an earlier frame are gone.

Memory fresh from the operating system is paid for page by page, when it is first written: 12 of the 29 ms that the
kernel maps of a LiDAR scan took. From frame to frame the same sizes come again, so they are kept for the next one.
How much is kept, here and on a GPU, is a setting for small boards: PERCEPTION_KEPT_MEMORY_MB (256 by default, 0: none).
"""

from __future__ import annotations

import math
import os
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

#: Smaller arrays are left to NumPy.
SMALLEST_BYTES = 1 << 16
#: The environment variable that says how many megabytes of unused memory are kept at most.
KEPT_MEMORY_VARIABLE = "PERCEPTION_KEPT_MEMORY_MB"
DEFAULT_KEPT_MEMORY_MB = 256

# Unused memory by size. Only single operations of lists and dicts, which are atomic: blocks come back from any thread.
_unused: dict[int, list[NDArray[np.uint8]]] = {}


class _Block:
    """Owner of some memory: arrays on it keep it alive, and it gives the memory back after the last of them."""

    def __init__(self, memory: NDArray[np.uint8]) -> None:
        self._memory = memory
        self.__array_interface__: dict[str, Any] = memory.__array_interface__

    def __del__(self) -> None:
        if kept_bytes() + self._memory.nbytes <= most_kept_bytes():
            _unused.setdefault(self._memory.nbytes, []).append(self._memory)


def empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Make an array of undefined contents, in memory that was used before if there is any of about its size."""
    bytes_needed = int(math.prod(shape)) * np.dtype(dtype).itemsize
    if bytes_needed < SMALLEST_BYTES:
        return np.empty(shape, dtype)
    most_kept_bytes()  # a wrong setting stops here, not where memory comes back, when nobody could hear of it
    size = rounded(bytes_needed)
    try:
        memory = _unused[size].pop()
    except (KeyError, IndexError):
        memory = np.empty(size, np.uint8)
    return np.asarray(_Block(memory))[:bytes_needed].view(dtype).reshape(shape)


@cache
def most_kept_bytes() -> int:
    """Tell how much unused memory is kept at most; read once. Errors as in `bytes_setting`."""
    return bytes_setting(KEPT_MEMORY_VARIABLE, DEFAULT_KEPT_MEMORY_MB << 20)


def bytes_setting(variable: str, default_bytes: int) -> int:
    """Read an environment variable that gives an amount of memory in megabytes.

    Raises:
        ConfigurationError: it is not a whole number of megabytes.
    """
    text = os.environ.get(variable)
    if text is None:
        return default_bytes
    if not text.strip().isdecimal():
        from perception.configuration import ConfigurationError  # not everywhere that kernels run is pydantic installed

        raise ConfigurationError(f"{variable}='{text.strip()}': expected a whole number of megabytes, 0 or more")
    return int(text) << 20


def kept_bytes() -> int:
    """Tell how much unused memory is kept at present."""
    return sum(size * len(blocks) for size, blocks in tuple(_unused.items()))


def release() -> None:
    """Give all unused memory back."""
    _unused.clear()


def rounded(size: int) -> int:
    """Round a size up by at most an eighth, so that frames of nearly the same size share memory."""
    step = 1 << max(size.bit_length() - 4, 0)
    return -(-size // step) * step
