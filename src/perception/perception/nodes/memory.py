"""Keeping the memory of one cloud for the next, and giving back that of a network that has gone."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

# Of glibc's <malloc.h>.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8

#: The largest that glibc accepts.
LARGEST_THRESHOLD = 32 << 20


def keep_freed_memory() -> bool:
    """Ask glibc to keep freed buffers instead of handing them back to the kernel after every frame.

    A cloud's buffers are megabytes: by default each is mapped, zeroed page by page and unmapped again for every
    frame, which costs more than everything else that is done to it (decoding 2 MB: 2 to 6 ms instead of 0.2).
    The process then stays at its high-water mark, which the frames reach anyway.

    Returns:
        Whether this C library knows the settings.
    """
    mallopt = _libc_function("mallopt")
    if mallopt is None:
        return False
    settings = ((M_MMAP_THRESHOLD, LARGEST_THRESHOLD), (M_TRIM_THRESHOLD, 1 << 30), (M_ARENA_MAX, 2))
    return all(mallopt(name, value) for name, value in settings)


def give_back_freed_memory() -> bool:
    """Hand back to the kernel what is free now, also in the midst of the heap; takes milliseconds.

    For moments after which other memory is needed than before: without it the holes that a network leaves between
    the buffers of clouds add up, swap after swap.

    Returns:
        Whether this C library can do it.
    """
    malloc_trim = _libc_function("malloc_trim")
    if malloc_trim is None:
        return False
    malloc_trim(ctypes.c_size_t(0))
    return True


def _libc_function(name: str) -> Callable[..., int] | None:
    """A function that glibc has and others may lack."""
    if not sys.platform.startswith("linux"):
        return None
    function: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    return function
