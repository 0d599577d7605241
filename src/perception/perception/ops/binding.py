"""The native library behind the operations: finding it, calling it, and its errors as exceptions."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

LIBRARY_NAME = "libperception_kernels.so"
INTERFACE_VERSION = 1  # PK_INTERFACE_VERSION of perception_kernels.h
CPU = -1

_OUT_OF_MEMORY = 3
# Arguments of each function after `where`: p a pointer, i an int32, l an int64 (kernels/include/perception_kernels.h).
_SIGNATURES = {
    "pk_hash_build": "plp",
    "pk_hash_query": "pplp",
    "pk_unique": "plpppp",
    "pk_downsample": "plpppp",
    "pk_quantize": "pllpp",
    "pk_voxelize": "pllpiippppp",
    "pk_submanifold_table": "plpip",
    "pk_strided_table": "ppllp",
    "pk_transpose_table": "plilp",
    "pk_sparse_convolution": "pp",
    "pk_inverse_convolution": "ppp",
    "pk_weight_gradient": "pliplipip",
    "pk_trilinear_table": "plippp",
    "pk_devoxelize": "plipplp",
    "pk_devoxelize_gradient": "plipplp",
    "pk_scatter_mean": "pliplpp",
    "pk_scatter_mean_gradient": "plipplp",
}
_TYPES = {"p": ctypes.c_void_p, "i": ctypes.c_int32, "l": ctypes.c_int64}


class Execution(ctypes.Structure):
    """Where a call runs (pk_execution)."""

    _fields_ = (("device", ctypes.c_int32), ("threads", ctypes.c_int32), ("stream", ctypes.c_void_p))


class Convolution(ctypes.Structure):
    """One layer (pk_convolution)."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("features", "weight", "bias", "residual", "output")),
        *((name, ctypes.c_int64) for name in ("n_in", "n_out")),
        *((name, ctypes.c_int32) for name in ("kernel_volume", "c_in", "c_out", "relu", "transpose_weight")),
    )


class Hash(ctypes.Structure):
    """Rows by voxel (pk_hash)."""

    _fields_ = (("keys", ctypes.c_void_p), ("values", ctypes.c_void_p), ("capacity", ctypes.c_int64))


def default_threads() -> int:
    """Count the threads of a call that names none: OMP_NUM_THREADS, else the processors of this process."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def library_candidates() -> Iterator[Path]:
    """List where the library may lie, the most explicit place first."""
    if explicit := os.environ.get("PERCEPTION_KERNELS_LIBRARY"):
        yield Path(explicit)
        return
    for prefix in (*_folders("AMENT_PREFIX_PATH"), *_folders("COLCON_PREFIX_PATH"), Path(sys.prefix)):
        yield prefix / "lib" / LIBRARY_NAME
    for folder in _folders("LD_LIBRARY_PATH"):
        yield folder / LIBRARY_NAME
    for parent in Path(__file__).parents:  # an installed prefix: PREFIX/lib/python3.x/site-packages/perception/ops
        if parent.name == "lib":
            yield parent / LIBRARY_NAME


def instruction_set() -> str:
    """Name the instruction set that the library chose on this machine: avx512, avx2, neon or baseline."""
    name: bytes = library().pk_instruction_set()
    return name.decode()


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """Load the library once.

    Raises:
        ImportError: it is nowhere, cannot be loaded, or is of another version than this code.
    """
    found = next((path for path in library_candidates() if path.is_file()), None)
    if found is None:
        raise ImportError(
            f"{LIBRARY_NAME} was not found: build the package perception_kernels (make setup), source the workspace, "
            "or set PERCEPTION_KERNELS_LIBRARY to the file"
        )
    try:
        loaded = ctypes.CDLL(str(found))
        version = loaded.pk_interface_version()
    except (OSError, AttributeError) as error:
        raise ImportError(f"{found} cannot be loaded: {error}") from None
    if version != INTERFACE_VERSION:
        raise ImportError(f"{found} has interface {version}, {INTERFACE_VERSION} is needed: rebuild perception_kernels")
    _declare(loaded)
    return loaded


def call(function: str, *arguments: Any, threads: int | None = None) -> None:
    """Call a function of the library; ctypes lets other Python threads run meanwhile.

    Raises:
        ValueError: what the library found wrong with the arguments.
        MemoryError: it ran out of memory.
    """
    where = Execution(CPU, default_threads() if threads is None else threads, None)
    loaded = library()
    status = getattr(loaded, function)(ctypes.byref(where), *arguments)
    if status == 0:
        return
    message = loaded.pk_last_error().decode(errors="replace")
    raise MemoryError(message) if status == _OUT_OF_MEMORY else ValueError(message)


def _folders(variable: str) -> list[Path]:
    return [Path(folder) for folder in os.environ.get(variable, "").split(os.pathsep) if folder]


def _declare(loaded: ctypes.CDLL) -> None:
    for name in ("pk_last_error", "pk_instruction_set"):
        getattr(loaded, name).restype = ctypes.c_char_p
    loaded.pk_hash_capacity.argtypes = (ctypes.c_int64,)
    loaded.pk_hash_capacity.restype = ctypes.c_int64
    for name, signature in _SIGNATURES.items():
        getattr(loaded, name).argtypes = (ctypes.c_void_p, *(_TYPES[letter] for letter in signature))
        getattr(loaded, name).restype = ctypes.c_int32
