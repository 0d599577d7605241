"""Rows that lie apart: columns of a larger array, read where they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from perception.ops.arrays import Array, check_shape, dtype_of, view


def as_rows(value: Any, dtype: np.dtype[Any], name: str) -> tuple[Array, int]:
    """Check an array [N, C] of a type whose rows are dense but may lie apart; also give their distance in elements.

    Columns of a larger array pass, so that a layer's stacked output is used in place.
    """
    array = view(value, name)
    if dtype_of(array, name) != dtype:
        raise ValueError(f"{name} must be {dtype.name}, found {dtype_of(array, name).name}")
    check_shape(array, (None, None), name)
    strides = _strides(array)
    rows, columns = array.shape
    if strides is None or rows * columns == 0:
        return array, max(columns, 1)
    step, rest = divmod(strides[0], dtype.itemsize)
    if (columns > 1 and strides[1] != dtype.itemsize) or rest or (rows > 1 and step < columns):
        raise ValueError(f"{name} must have dense rows one after another; pass a contiguous copy")
    return array, max(step, columns)


def _strides(array: Array) -> tuple[int, ...] | None:
    """Bytes between elements along each axis; None where the array is dense."""
    if isinstance(array, np.ndarray):
        return array.strides
    strides = array.__cuda_array_interface__.get("strides")
    return None if strides is None else tuple(strides)
