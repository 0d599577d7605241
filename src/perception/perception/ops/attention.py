"""Attention within groups of tokens, natively."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np

from perception.ops import binding
from perception.ops.arrays import (
    DTYPE_CODES,
    Array,
    address,
    as_array,
    common_place,
    float_dtype,
    output,
)
from perception.ops.strided import as_rows
from perception.ops.windows import TokenGroups

binding.declare(pk_group_attention="p")


class _NativeAttention(ctypes.Structure):
    """One call (pk_attention)."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("q", "k", "v", "output", "order", "flat2win", "win2flat")),
        *((name, ctypes.c_int64) for name in ("n_tokens", "n_slots", "q_stride", "k_stride", "v_stride")),
        *((name, ctypes.c_int32) for name in ("heads", "head_dim", "group_size", "dtype")),
        ("scale", ctypes.c_float),
    )


def group_attention(
    q: Any,
    k: Any,
    v: Any,
    heads: int,
    groups: TokenGroups | int,
    order: Any = None,
    scale: float | None = None,
    threads: int | None = None,
    *,
    out: Any = None,
) -> Array:
    """Attend within groups: softmax(scale q k^T) v for every head of every group; [N, heads * D], rows like those of q.

    No matrix of scores is written to memory, and tokens are read from where they lie.

    Args:
        q: float32 or float16 [N, heads * D], D 1 to 32; head h has the channels h * D to (h + 1) * D. Columns of a
            larger array will do.
        k: like q.
        v: like q.
        heads: how many.
        groups: from `group_tokens`, or the size of groups that lie one after another and are all full; 1 to 256 tokens.
            A token that is repeated in a group counts as a key each time; its result comes from its own slot.
        order: int32 [N], position in the sequence -> row, from `window_order`; None: rows are in sequence.
        scale: 1 / sqrt(D) by default.
        threads: CPU threads, all by default; the result does not depend on it.
        out: where the result goes, [N, heads * D] of the type of q; a new array if None.

    Raises:
        ValueError: shapes that do not fit; on the CPU also an order or groups that do not hold every token once;
            an `out` that overlaps an input.
    """
    dtype = float_dtype(q, "q")
    arrays = [as_rows(value, dtype, name) for value, name in ((q, "q"), (k, "k"), (v, "v"))]
    tokens, width = arrays[0][0].shape
    if any(tuple(array.shape) != (tokens, width) for array, _ in arrays):
        raise ValueError(f"q, k and v must have one shape, found {[list(array.shape) for array, _ in arrays]}")
    if heads < 1 or width % heads:
        raise ValueError(f"{width} channels cannot be shared by {heads} heads")
    slots, size, indices = _slots(groups, order, tokens)
    read = (*(array for array, _ in arrays), *indices)
    attended = output(out, arrays[0][0], (tokens, width), dtype, read)
    everything = [*read[:3], attended, *indices]
    common_place("group attention", [array for array in everything if array is not None])
    scale = 1 / math.sqrt(max(width // heads, 1)) if scale is None else scale
    strides = (stride for _, stride in arrays)
    shape = (heads, width // heads, size, DTYPE_CODES[dtype], scale)
    native = _NativeAttention(*(address(array) for array in everything), tokens, slots, *strides, *shape)
    binding.call("pk_group_attention", ctypes.byref(native), threads=threads, on=attended)
    return attended


def _slots(groups: TokenGroups | int, order: Any, tokens: int) -> tuple[int, int, list[Array | None]]:
    """Slots, slots of a group, and order, flat2win and win2flat as far as there are any."""
    order = None if order is None else as_array(order, np.int32, (tokens,), "order")
    if isinstance(groups, int):
        if groups < 1 or tokens % groups:
            raise ValueError(f"{tokens} tokens do not fill groups of {groups}")
        return tokens, groups, [order, None, None]
    flat2win = as_array(groups.flat2win, np.int32, (None,), "flat2win")
    win2flat = as_array(groups.win2flat, np.int32, (tokens,), "win2flat")
    return len(flat2win), groups.size, [order, flat2win, win2flat]
