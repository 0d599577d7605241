"""Tokens along a sequence: a gated convolution of each channel, natively."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from perception.ops import binding
from perception.ops.arrays import Array, address, as_array, as_features, common_place, output

binding.declare(pk_sequence_convolution="p")


class _NativeSequence(ctypes.Structure):
    """One call (pk_sequence)."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("gated", "order", "counts", "kernel", "output")),
        *((name, ctypes.c_int64) for name in ("n_tokens", "n_sequences")),
        *((name, ctypes.c_int32) for name in ("channels", "kernel_size", "dtype")),
    )


def sequence_convolution(
    gated: Any, order: Any, counts: Sequence[int], kernel: Any, *, threads: int | None = None, out: Any = None
) -> Array:
    """Gate rows, and convolve each channel along the sequence that its rows are in: [N, C], rows like those of gated.

    The row of values a and gates b counts as a * sigmoid(b). The result at a position is the sum over t of kernel[t]
    times the gated row at position + t - K // 2, without those outside its own sequence; sums are float32, rounded
    once. This is the local branch of long-short range attention (Wu et al., ICLR 2020, section 3).

    Args:
        gated: float32 or float16 [N, 2 C], C 1 to 4096: values, then gates.
        order: int32 [N], position in the sequence -> row, from `window_order`; None: rows are in sequence.
        counts: tokens of each sequence, one after the other; their sum is N.
        kernel: float32 [K, C], K odd, at most 31.
        threads: CPU threads, all by default; the result does not depend on it.
        out: where the result goes, apart from the inputs; a new array if None.

    Raises:
        ValueError: shapes that do not fit; on the CPU also an order that does not hold every row once.
    """
    kernel = as_array(kernel, np.float32, (None, None), "kernel")
    size, channels = kernel.shape
    gated, dtype, code = as_features(gated, "gated", 2 * channels)
    rows = len(gated)
    order = None if order is None else as_array(order, np.int32, (rows,), "order")
    result = output(out, gated, (rows, channels), dtype, (gated, order, kernel))
    arrays = [array for array in (gated, order, kernel, result) if array is not None]
    common_place("sequence convolution", arrays)
    host = (ctypes.c_int64 * len(counts))(*counts)
    addresses = (address(gated), address(order), ctypes.addressof(host), address(kernel), address(result))
    native = _NativeSequence(*addresses, rows, len(counts), channels, size, code)
    binding.call("pk_sequence_convolution", ctypes.byref(native), threads=threads, on=result)
    return result
