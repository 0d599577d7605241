"""What lies between the layers of a network: rows added, joined, taken and converted, scores turned into labels."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from perception.ops import binding
from perception.ops.arrays import (
    DTYPE_CODES,
    Array,
    address,
    as_array,
    as_features,
    common_place,
    dtype_of,
    empty,
    float_dtype,
    output,
    view,
)

binding.declare(
    pk_add_rows="ppiliip",
    pk_concatenate_columns="ppilp",
    pk_take_rows="pilplip",
    pk_cast="pilip",
    pk_cast_integers="plp",
    pk_best_class="pilipp",
    pk_spread_labels="pplplpp",
)

#: How many arrays `concatenate_columns` joins at most.
MOST_JOINED = 8
#: The class id of what could not be classified.
NO_CLASS = 255


class Labels(NamedTuple):
    """What something is, and how sure that is.

    Attributes:
        class_ids: uint8 [N]; NO_CLASS where there is no label.
        probabilities: float32 [N], 0 where there is no label.
    """

    class_ids: Array
    probabilities: Array


def add_rows(a: Any, b: Any, relu: bool = False, *, threads: int | None = None, out: Any = None) -> Array:
    """Add two arrays of features element by element: [N, C], in float32, rounded once.

    Args:
        a: float32 or float16 [N, C].
        b: of the same type and shape.
        relu: whether negative sums become 0.
        threads: CPU threads, all by default.
        out: where the result goes; it may be `a` or `b` itself. A new array if None.
    """
    a, dtype, code = as_features(a, "a")
    b = as_array(b, dtype, a.shape, "b")
    result = output(out, a, a.shape, dtype, in_place_of=(a, b))
    binding.call("pk_add_rows", a, b, code, *a.shape, int(relu), result, threads=threads)
    return result


def concatenate_columns(arrays: Sequence[Any], *, threads: int | None = None, out: Any = None) -> Array:
    """Join the columns of 1 to 8 arrays of features: [N, sum of C].

    Args:
        arrays: float32 or float16 [N, C], all of one type and number of rows.
        threads: CPU threads, all by default.
        out: where the result goes, apart from the inputs; a new array if None.
    """
    if not 1 <= len(arrays) <= MOST_JOINED:
        raise ValueError(f"concatenate_columns joins 1 to {MOST_JOINED} arrays, found {len(arrays)}")
    first, dtype, _ = as_features(arrays[0], "arrays[0]")
    rows = len(first)
    inputs = [as_array(array, dtype, (rows, None), f"arrays[{i}]") for i, array in enumerate(arrays)]
    result = output(out, first, (rows, sum(array.shape[1] for array in inputs)), dtype, inputs)
    common_place("concatenate_columns", (*inputs, result))
    count = len(inputs)
    addresses = (ctypes.c_void_p * count)(*(address(array) for array in inputs))
    row_bytes = (ctypes.c_int32 * count)(*(array.shape[1] * dtype.itemsize for array in inputs))
    binding.call("pk_concatenate_columns", addresses, row_bytes, count, rows, result, threads=threads)
    return result


def take_rows(values: Any, rows: Any, *, threads: int | None = None, out: Any = None) -> Array:
    """Take rows of features, or compose indices: values[rows].

    Args:
        values: float32 or float16 features [M, C], or int32 indices [M], such as the parents of a level.
        rows: int32 [N]; -1 gives a row of zeros, or the index -1.
        threads: CPU threads, all by default.
        out: where the result goes, apart from the inputs; a new array if None.

    Returns:
        [N, C] of the type of the features, or int32 [N].

    Raises:
        ValueError: arrays that do not fit; on the CPU also rows that do not exist (on a GPU they count as -1).
    """
    indices = dtype_of(values, "values") == np.int32
    if indices:
        values, dtype = as_array(values, np.int32, (None,), "values"), np.dtype(np.int32)
    else:
        values, dtype, _ = as_features(values, "values")
    rows = as_array(rows, np.int32, (None,), "rows")
    result = output(out, values, (len(rows), *values.shape[1:]), dtype, (values, rows))
    row_bytes = prod(values.shape[1:]) * dtype.itemsize
    arguments = (values, row_bytes, len(values), rows, len(rows), 255 if indices else 0, result)
    binding.call("pk_take_rows", *arguments, threads=threads)
    return result


def cast(values: Any, dtype: DTypeLike, *, threads: int | None = None, out: Any = None) -> Array:
    """Convert between float32 and float16, to the nearest and on a tie to the even one; too large becomes infinite.

    Args:
        values: float32 or float16, of any shape; or int32, such as coordinates, to float32.
        dtype: float32 or float16.
        threads: CPU threads, all by default.
        out: where the result goes, apart from the input; a new array if None.
    """
    wanted, found = np.dtype(dtype), dtype_of(values, "values")
    integers = found == np.int32 and wanted == np.float32
    if not integers:
        float_dtype(values, "values")
    if wanted not in DTYPE_CODES:
        raise ValueError(f"dtype must be float32 or float16, found {wanted.name}")
    values = view(values, "values")
    values = as_array(values, found, tuple(values.shape), "values")
    result = output(out, values, tuple(values.shape), wanted, (values,))
    if integers:
        binding.call("pk_cast_integers", values, prod(values.shape), result, threads=threads)
    else:
        codes = (DTYPE_CODES[found], prod(values.shape), DTYPE_CODES[wanted])
        binding.call("pk_cast", values, *codes, result, threads=threads)
    return result


def best_class(scores: Any, *, threads: int | None = None) -> Labels:
    """Give the class of the highest score of each row, and its probability by softmax over the row.

    Args:
        scores: float32 or float16 [N, C], 1 to 255 classes; the lowest class wins a tie.
        threads: CPU threads, all by default.

    Returns:
        Labels of N rows; a row with a NaN, or whose highest score is infinite, has none.
    """
    scores, _, code = as_features(scores, "scores")
    rows, classes = scores.shape
    labels = _empty_labels(scores, rows)
    binding.call("pk_best_class", scores, code, rows, classes, *labels, threads=threads)
    return labels


def spread_labels(class_ids: Any, probabilities: Any, inverse: Any, *, threads: int | None = None) -> Labels:
    """Give each point the label of its voxel.

    Args:
        class_ids: uint8 [V].
        probabilities: float32 [V].
        inverse: int32 [N], the voxel of each point; one that does not exist (-1, or beyond a capacity) gives no label.
        threads: CPU threads, all by default.
    """
    class_ids = as_array(class_ids, np.uint8, (None,), "class_ids")
    voxels = len(class_ids)
    probabilities = as_array(probabilities, np.float32, (voxels,), "probabilities")
    inverse = as_array(inverse, np.int32, (None,), "inverse")
    labels = _empty_labels(inverse, len(inverse))
    arguments = (class_ids, probabilities, voxels, inverse, len(inverse), *labels)
    binding.call("pk_spread_labels", *arguments, threads=threads)
    return labels


def _empty_labels(like: Array, rows: int) -> Labels:
    return Labels(empty(like, rows, np.uint8), empty(like, rows, np.float32))
