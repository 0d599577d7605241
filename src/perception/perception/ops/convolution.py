"""Sparse convolution on features [N, C] with weights [K, C_in, C_out], natively.

Features, weights, residuals and results are all float32 or all float16; sums are float32 and rounded once. On the CPU
a call needs little beside its arrays: the weights once more as float32 and about 1 MiB a thread (the weight gradient:
another 8 MiB), whatever the number of rows.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.ops import binding
from perception.ops.arrays import CPU, Array, address, as_array, as_features, common_place, empty, output, place_of
from perception.ops.prepared import PreparedTable, Tuning

Float32Array = NDArray[np.float32]
FeatureArray = NDArray[np.float32] | NDArray[np.float16]

binding.declare(
    pk_sparse_convolution="pp",
    pk_inverse_convolution="ppp",
    pk_weight_gradient="pp",
)


def sparse_convolution(
    features: Any,
    table: Any,
    weight: Any,
    bias: Any = None,
    residual: Any = None,
    relu: bool = False,
    *,
    transpose_weight: bool = False,
    tuning: Tuning | None = None,
    threads: int | None = None,
    out: Any = None,
) -> FeatureArray:
    """Sum features[table[o, k]] @ weight[k] over k, then bias, residual and ReLU: [N_out, C_out].

    Args:
        features: float32 or float16 [N_in, C_in].
        table: int32 [N_out, K] from `submanifold_table`, `strided_table` or `transpose_table`, or a `PreparedTable` of
            it, which makes repeated use on a GPU faster.
        weight: of the type of the features, [K, C_in, C_out]; [K, C_out, C_in] with `transpose_weight`.
        bias: float32 [C_out] or None.
        residual: of the type of the features, [N_out, C_out], or None; added before the ReLU.
        relu: whether negative results become 0.
        transpose_weight: multiply by each weight[k] transposed (the gradient of data).
        tuning: how a GPU computes the layer, by rule if None; needs a `PreparedTable`.
        threads: CPU threads, all by default; the result does not depend on it.
        out: where the result goes, [N_out, C_out] of the type of the features; it may be `residual` itself. A new
            array if None.

    Raises:
        ValueError: arrays that do not fit each other, or an `out` that overlaps another input than `residual`.
    """
    prepared = table if isinstance(table, PreparedTable) else None
    if tuning is not None and prepared is None:
        raise ValueError("a tuning needs a PreparedTable")
    table = prepared.table if prepared is not None else as_array(table, np.int32, (None, None), "table")
    layer = _Layer(features, weight, bias, residual, relu, transpose_weight, table, out)
    layer.check_volume(table.shape[1])
    if prepared is None or place_of(table).device == CPU:
        binding.call("pk_sparse_convolution", ctypes.byref(layer.native), table, threads=threads, on=layer.output)
        return layer.output
    common_place("the layer", (table, layer.output))
    if layer.native.n_in != prepared.input_count:
        raise ValueError(f"the table is of {prepared.input_count} input rows, but there are {layer.native.n_in}")
    tuning = tuning or Tuning()
    arguments = (ctypes.byref(native) for native in (layer.native, prepared.native(tuning), tuning.native))
    binding.call("pk_prepared_convolution", *arguments, on=layer.output)
    return layer.output


def inverse_convolution(
    features: Any,
    parent: Any,
    offset: Any,
    weight: Any,
    bias: Any = None,
    residual: Any = None,
    relu: bool = False,
    *,
    transpose_weight: bool = False,
    threads: int | None = None,
    out: Any = None,
) -> FeatureArray:
    """Go back to the fine level, size 2 and stride 2: features[parent[i]] @ weight[offset[i]], [N, C_out].

    `parent` int32 [N] and `offset` uint8 [N] are those of `downsample`; the rest as in `sparse_convolution`.
    """
    parent = as_array(parent, np.int32, (None,), "parent")
    offset = as_array(offset, np.uint8, (len(parent),), "offset")
    layer = _Layer(features, weight, bias, residual, relu, transpose_weight, parent, out)
    arguments = (ctypes.byref(layer.native), parent, offset)
    binding.call("pk_inverse_convolution", *arguments, threads=threads, on=layer.output)
    return layer.output


def weight_gradient(features: Any, output_gradient: Any, table: Any, threads: int | None = None) -> Float32Array:
    """Sum features[table[o, k]]^T output_gradient[o] over o: float32 [K, C_in, C_out].

    Args:
        features: float32 or float16 [N_in, C_in].
        output_gradient: of the same type, [N_out, C_out].
        table: int32 [N_out, K] of the forward call.
        threads: CPU threads, all by default; the result does not depend on it.
    """
    features, dtype, code = as_features(features, "features")
    table = as_array(table, np.int32, (None, None), "table")
    output_gradient = as_array(output_gradient, dtype, (len(table), None), "output_gradient")
    volume, inputs, outputs = table.shape[1], features.shape[1], output_gradient.shape[1]
    result = empty(features, (volume, inputs, outputs), np.float32)
    pointers = (address(array) for array in (features, output_gradient, result))
    sizes = (len(features), len(table), volume, inputs, outputs, code)
    common_place("the gradient", (features, output_gradient, result))
    call = binding.ConvolutionGradient(*pointers, *sizes)
    binding.call("pk_weight_gradient", ctypes.byref(call), table, threads=threads, on=result)
    return result


class _Layer:
    """The arguments of a layer, checked, with the arrays kept alive for the call."""

    def __init__(
        self,
        features: Any,
        weight: Any,
        bias: Any,
        residual: Any,
        relu: bool,
        transposed: bool,
        rows_of: Array,
        out: Any,
    ) -> None:
        rows = len(rows_of)
        features, dtype, code = as_features(features, "features")
        inputs = features.shape[1]
        shape = (None, None, inputs) if transposed else (None, inputs, None)
        weight = as_array(weight, dtype, shape, "weight")
        self.volume, outputs = weight.shape[0], weight.shape[1 if transposed else 2]
        bias = None if bias is None else as_array(bias, np.float32, (outputs,), "bias")
        residual = None if residual is None else as_array(residual, dtype, (rows, outputs), "residual")
        read = (features, weight, bias, rows_of)
        self.output: FeatureArray = output(out, features, (rows, outputs), dtype, read, (residual,))
        self._arrays = (features, weight, bias, residual, self.output)
        common_place("the layer", [array for array in self._arrays if array is not None])
        pointers = (address(array) for array in self._arrays)
        sizes = (len(features), rows, self.volume, inputs, outputs, int(relu), int(transposed), code)
        self.native = binding.Convolution(*pointers, *sizes)

    def check_volume(self, columns: int) -> None:
        if self.volume != columns:
            raise ValueError(f"the table has {columns} columns, but there are {self.volume} weights")
