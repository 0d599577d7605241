"""The native library behind the operations: finding it, calling it, and its errors as exceptions."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from perception.ops.arrays import address, common_place, is_array

LIBRARY_NAME = "libperception_kernels.so"
INTERFACE_VERSION = 5  # PK_INTERFACE_VERSION of perception_kernels.h

_OUT_OF_MEMORY = 3
_UNSUPPORTED = 4
_TYPES = {"p": ctypes.c_void_p, "i": ctypes.c_int32, "l": ctypes.c_int64, "f": ctypes.c_float}
_signatures: dict[str, str] = {}  # filled by the modules of this package as they are imported, then constant


def declare(**signatures: str) -> None:
    """Tell the arguments of functions after `where`: p a pointer, i an int32, l an int64, f a float."""
    _signatures.update(signatures)


class Execution(ctypes.Structure):
    """Where a call runs (pk_execution)."""

    _fields_ = (("device", ctypes.c_int32), ("threads", ctypes.c_int32), ("stream", ctypes.c_void_p))


class Convolution(ctypes.Structure):
    """One layer (pk_convolution)."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("features", "weight", "bias", "residual", "output")),
        *((name, ctypes.c_int64) for name in ("n_in", "n_out")),
        *((name, ctypes.c_int32) for name in ("kernel_volume", "c_in", "c_out", "relu", "transpose_weight", "dtype")),
    )


class ConvolutionGradient(ctypes.Structure):
    """The gradient of one layer's weight (pk_convolution_gradient)."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("features", "output_gradient", "weight_gradient")),
        *((name, ctypes.c_int64) for name in ("n_in", "n_out")),
        *((name, ctypes.c_int32) for name in ("kernel_volume", "c_in", "c_out", "dtype")),
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


def has_cuda() -> bool:
    """Whether the library was built with CUDA (or with its emulation)."""
    return bool(library().pk_has_cuda())


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


def call(function: str, *arguments: Any, threads: int | None = None, on: Any = None) -> None:
    """Call a function of the library; ctypes lets other Python threads run meanwhile.

    Args:
        function: its name; its signature was declared.
        arguments: all after `where`. Arrays stand for their address and say where the call runs: all of them lie in
            CPU memory, or all on one GPU. ctypes objects and None are passed as they are.
        threads: CPU threads, all by default.
        on: another array that says where the call runs, for calls that get theirs inside a struct.

    Raises:
        ValueError: what the library found wrong with the arguments, or arrays that lie on different devices.
        MemoryError: it ran out of memory.
        NotImplementedError: the library was built without what the call needs.
    """
    place = common_place(function, [value for value in (*arguments, on) if is_array(value)])
    where = Execution(place.device, default_threads() if threads is None else threads, place.stream)
    loaded = library()
    native = _function(function)
    status = native(ctypes.byref(where), *(address(value) if is_array(value) else value for value in arguments))
    if status == 0:
        return
    message = loaded.pk_last_error().decode(errors="replace")
    if status == _OUT_OF_MEMORY:
        raise MemoryError(message)
    raise NotImplementedError(message) if status == _UNSUPPORTED else ValueError(message)


@contextmanager
def timed_calls() -> Iterator[list[float]]:
    """Collect how long each call is inside the library, in seconds; not for calls from several threads at a time.

    On a GPU that is how long it takes to start the kernels.
    """
    global _function
    plain, seconds = _function, list[float]()

    def timed(name: str) -> Callable[..., int]:
        native = plain(name)

        def run(*arguments: Any) -> int:
            start_s = time.perf_counter()
            status: int = native(*arguments)
            seconds.append(time.perf_counter() - start_s)
            return status

        return run

    _function = timed  # type: ignore[assignment]
    try:
        yield seconds
    finally:
        _function = plain


@cache
def _function(name: str) -> Any:
    loaded = library()
    try:
        native = getattr(loaded, name)
    except AttributeError:
        raise ImportError(
            f"{loaded._name} is older than this code, it lacks {name}: rebuild perception_kernels"
        ) from None
    native.argtypes = (ctypes.c_void_p, *(_TYPES[letter] for letter in _signatures[name]))
    native.restype = ctypes.c_int32
    return native


def _folders(variable: str) -> list[Path]:
    return [Path(folder) for folder in os.environ.get(variable, "").split(os.pathsep) if folder]


def _declare(loaded: ctypes.CDLL) -> None:
    for name in ("pk_last_error", "pk_instruction_set"):
        getattr(loaded, name).restype = ctypes.c_char_p
    loaded.pk_hash_capacity.argtypes = (ctypes.c_int64,)
    loaded.pk_hash_capacity.restype = ctypes.c_int64
