"""Tokens in the cells of a map: their order along windows, groups of equal size, positional embedding; natively."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from perception.ops import binding
from perception.ops.arrays import DTYPE_CODES, Array, as_array, check_shape, empty, float_dtype, output, view
from perception.ops.strided import as_rows

binding.declare(pk_window_keys="plpp", pk_window_order="plpp", pk_group_tokens="plipp", pk_add_position="plplpiiip")


class _NativeWalk(ctypes.Structure):
    """A walk through windows (pk_window_walk)."""

    _fields_ = tuple(
        (name, ctypes.c_int32)
        for name in ("n_batches", "height", "width", "window_height", "window_width", "along_y", "shifted")
    )


@dataclass(frozen=True)
class WindowWalk:
    """How FlatFormer walks through the windows of a map (Liu et al. 2023, section 3.1).

    Rows of windows to and fro like a snake, and columns of cells within a window also to and fro; in odd rows of
    windows the walk within a window is reversed.

    Attributes:
        batches: batch elements, walked one after another.
        size: H, W of the map in cells.
        window: cells of a window along y and x.
        axis: "x": rows of windows lie along x; "y": the same with x and y swapped.
        shifted: move all cells by half a window, rounded down, before windows are cut.
    """

    batches: int
    size: tuple[int, int]
    window: tuple[int, int]
    axis: Literal["x", "y"] = "x"
    shifted: bool = False

    def native(self) -> _NativeWalk:
        """Give the walk as the library takes it."""
        if self.axis not in ("x", "y"):
            raise ValueError(f"axis must be x or y, found {self.axis!r}")
        return _NativeWalk(self.batches, *self.size, *self.window, self.axis == "y", self.shifted)


class TokenGroups(NamedTuple):
    """A sequence of tokens in groups of equal size.

    Attributes:
        flat2win: int32 [slots], the position in the sequence of each slot's token.
        win2flat: int32 [tokens], the slot of each position.
        size: slots of a group.
    """

    flat2win: Array
    win2flat: Array
    size: int


def window_keys(coords: Any, walk: WindowWalk, threads: int | None = None) -> Array:
    """Number cells int32 [N, 3] (batch, y, x) along a walk: uint64 [N], larger keys later; see `window_order`."""
    coords = as_array(coords, np.int32, (None, 3), "coords")
    keys = empty(coords, len(coords), np.uint64)
    binding.call("pk_window_keys", coords, len(coords), ctypes.byref(walk.native()), keys, threads=threads)
    return keys


def window_order(coords: Any, walk: WindowWalk, threads: int | None = None) -> Array:
    """Sort cells along a walk: int32 [N], position in the sequence -> row; cells that occur twice in order of rows.

    Args:
        coords: int32 [N, 3], batch, y, x.
        walk: the walk.
        threads: CPU threads, all by default.

    Raises:
        ValueError: a cell outside the map (on a GPU it comes last), or a bad walk.
    """
    coords = as_array(coords, np.int32, (None, 3), "coords")
    order = empty(coords, len(coords), np.int32)
    binding.call("pk_window_order", coords, len(coords), ctypes.byref(walk.native()), order, threads=threads)
    return order


def group_tokens(counts: Sequence[int], group_size: int, like: Any, threads: int | None = None) -> TokenGroups:
    """Cut a sequence of tokens into groups of equal size, each batch element by itself.

    A last group that is not full repeats the tokens in the same slots of the group before. Where there is none (an
    element with fewer tokens than a group, which the official FlatFormer does not support), it repeats the element's
    tokens from the first one on, over and over.

    Args:
        counts: tokens of each batch element, one after the other in the sequence.
        group_size: slots of a group.
        like: an array in whose place the results shall lie.
        threads: CPU threads, all by default.

    Raises:
        ValueError: a negative count, a group size below 1, or 2^31 slots and more.
    """
    native = (ctypes.c_int64 * len(counts))(*counts)
    slots = binding.library().pk_group_slots(native, ctypes.c_int64(len(counts)), ctypes.c_int32(group_size))
    if slots < 0:
        raise ValueError("a count is negative, the group size is below 1, or there are more than 2147483647 slots")
    like = view(like, "like")
    flat2win, win2flat = empty(like, slots, np.int32), empty(like, sum(counts), np.int32)
    binding.call("pk_group_tokens", native, len(counts), group_size, flat2win, win2flat, threads=threads)
    return TokenGroups(flat2win, win2flat, group_size)


def add_position(features: Any, coords: Any, table: Any, threads: int | None = None, *, out: Any = None) -> Array:
    """Add table[x] to the first half of the channels and table[y] to the second half: [N, 2 H].

    Args:
        features: float32 or float16 [N, 2 H]. Columns of a larger array will do.
        coords: int32 [N, 3], batch, y, x.
        table: float32 [L, H], for example from `sine_table`.
        threads: CPU threads, all by default.
        out: where the result goes, [N, 2 H] of the type of the features; it may be `features` itself. A new array if
            None.

    Raises:
        ValueError: a cell outside the table (on a GPU nothing is added there), or an `out` that overlaps an input.
    """
    table = as_array(table, np.float32, (None, None), "table")
    length, half = table.shape
    dtype = float_dtype(features, "features")
    features, step = as_rows(features, dtype, "features")
    check_shape(features, (None, 2 * half), "features")
    rows = features.shape[0]
    coords = as_array(coords, np.int32, (rows, 3), "coords")
    result = output(out, features, tuple(features.shape), dtype, (coords, table), (features,))
    arguments = (features, step, coords, rows, table, length, half, DTYPE_CODES[dtype], result)
    binding.call("pk_add_position", *arguments, threads=threads)
    return result


def sine_table(length: int, channels: int, temperature: float = 10000.0) -> np.ndarray:
    """Tabulate FlatFormer's positional embedding of one axis: float32 [length, channels].

    Channels 2i and 2i + 1 of row p are the sine and cosine of p / temperature^(2i / channels), rounded once; the
    official code evaluates the argument in float32, which differs by up to 3e-5.
    """
    if channels % 2:
        raise ValueError(f"channels must be even, found {channels}")
    steps = temperature ** (np.arange(0, channels, 2) / channels)
    angles = np.arange(length)[:, None] / steps
    return np.stack([np.sin(angles), np.cos(angles)], -1).reshape(length, channels).astype(np.float32)
