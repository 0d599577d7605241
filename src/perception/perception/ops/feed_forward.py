"""Dense layers of rows of features with what follows them in one call, natively."""

from __future__ import annotations

import ctypes
from typing import Any, Literal, NamedTuple

import numpy as np

from perception.ops import binding
from perception.ops.arrays import (
    DTYPE_CODES,
    Array,
    address,
    as_array,
    as_features,
    common_place,
    empty,
    float_dtype,
    output,
)
from perception.ops.strided import as_rows

binding.declare(pk_linear_layer="p", pk_layer_norm="pppplifip")

Activation = Literal["none", "relu", "gelu"]
_ACTIVATIONS = ("none", "relu", "gelu")


class LayerNorm(NamedTuple):
    """Layer normalisation over the channels of a row.

    Attributes:
        weight: float32 [C].
        bias: float32 [C].
        epsilon: added to the (biased) variance.
    """

    weight: Any
    bias: Any
    epsilon: float = 1e-5


class _NativeLinear(ctypes.Structure):
    """One layer (pk_linear)."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("input", "weight", "bias", "residual", "residual_rows")),
        *((name, ctypes.c_void_p) for name in ("norm_weight", "norm_bias", "output")),
        *((name, ctypes.c_int64) for name in ("rows", "input_step", "residual_count")),
        *((name, ctypes.c_int32) for name in ("c_in", "c_out", "activation", "dtype")),
        ("norm_epsilon", ctypes.c_float),
    )


def linear(
    features: Any,
    weight: Any,
    bias: Any = None,
    activation: Activation = "none",
    *,
    residual: Any = None,
    residual_rows: Any = None,
    norm: LayerNorm | None = None,
    threads: int | None = None,
    out: Any = None,
) -> Array:
    """Compute norm(activation(features @ weight^T + bias + residual)) in one pass: [N, C_out].

    Sums are float32, rounded once at the end.

    Args:
        features: float32 or float16 [N, C_in]. Columns of a larger array will do.
        weight: [C_out, C_in] of the same type, as in torch.nn.Linear.
        bias: float32 [C_out] or None.
        activation: "none", "relu" or "gelu" (by the error function, not by tanh).
        residual: [M, C_out] of the same type, added before the activation, or None.
        residual_rows: int32 [N], the row of the residual that each row adds (-1: none); None: row i adds row i. With
            the pillar of every point, this is the pillars' half of a layer on [point, pillar] features.
        norm: layer normalisation of the result, or None.
        threads: CPU threads, all by default; the result does not depend on it.
        out: where the result goes, [N, C_out] of the type of the features; it may be `residual` itself where
            `residual_rows` is None. A new array if None.

    Raises:
        ValueError: shapes or types that do not fit, an `out` that overlaps another input; on the CPU also residual
            rows that do not exist.
    """
    dtype = float_dtype(features, "features")
    features, step = as_rows(features, dtype, "features")
    rows, inputs = features.shape
    weight = as_array(weight, dtype, (None, inputs), "weight")
    outputs = len(weight)
    if activation not in _ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(_ACTIVATIONS)}, found {activation!r}")
    bias = None if bias is None else as_array(bias, np.float32, (outputs,), "bias")
    residual, residual_rows = _residual(residual, residual_rows, dtype, rows, outputs)
    scale, shift, epsilon = _norm(norm, outputs)
    read = (features, weight, bias, residual_rows, scale, shift)
    apart_from, in_place_of = (read, (residual,)) if residual_rows is None else ((*read, residual), ())
    result = output(out, features, (rows, outputs), dtype, apart_from, in_place_of)
    arrays = (features, weight, bias, residual, residual_rows, scale, shift, result)
    common_place("the layer", [array for array in arrays if array is not None])
    count = 0 if residual is None else len(residual)
    shape = (rows, step, count, inputs, outputs, _ACTIVATIONS.index(activation), DTYPE_CODES[dtype], epsilon)
    native = _NativeLinear(*(address(array) for array in arrays), *shape)
    binding.call("pk_linear_layer", ctypes.byref(native), threads=threads, on=result)
    return result


def layer_norm(features: Any, norm: LayerNorm, residual: Any = None, threads: int | None = None) -> Array:
    """Normalise features + residual over the channels of each row: [N, C].

    Args:
        features: float32 or float16 [N, C].
        norm: weight, bias and epsilon.
        residual: [N, C] of the same type, or None.
        threads: CPU threads, all by default.
    """
    features, dtype, code = as_features(features, "features")
    rows, channels = features.shape
    residual = None if residual is None else as_array(residual, dtype, (rows, channels), "residual")
    scale, shift, epsilon = _norm(norm, channels)
    result = empty(features, (rows, channels), dtype)
    arguments = (features, residual, scale, shift, rows, channels, epsilon, code, result)
    binding.call("pk_layer_norm", *arguments, threads=threads)
    return result


def _residual(
    residual: Any, residual_rows: Any, dtype: np.dtype[Any], rows: int, channels: int
) -> tuple[Array | None, Array | None]:
    if residual is None:
        if residual_rows is not None:
            raise ValueError("residual_rows needs a residual")
        return None, None
    if residual_rows is None:
        return as_array(residual, dtype, (rows, channels), "residual"), None
    residual = as_array(residual, dtype, (None, channels), "residual")
    return residual, as_array(residual_rows, np.int32, (rows,), "residual_rows")


def _norm(norm: LayerNorm | None, channels: int) -> tuple[Array | None, Array | None, float]:
    if norm is None:
        return None, None, 1.0
    scale = as_array(norm.weight, np.float32, (channels,), "the weight of the norm")
    return scale, as_array(norm.bias, np.float32, (channels,), "the bias of the norm"), norm.epsilon
