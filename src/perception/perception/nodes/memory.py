"""Keeping the memory of one cloud for the next."""

from __future__ import annotations

import ctypes
import sys

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
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((M_MMAP_THRESHOLD, LARGEST_THRESHOLD), (M_TRIM_THRESHOLD, 1 << 30), (M_ARENA_MAX, 2))
    return all(mallopt(name, value) for name, value in settings)
