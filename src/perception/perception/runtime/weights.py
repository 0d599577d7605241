"""Weights as the kernels take them: batch norm folded in, in the type that a layer computes in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception.bundle.definitions.layers import SPCONV_RANK
from perception.bundle.graph import Operation

NORM_EPSILON = 1e-5


class LayerWeights(NamedTuple):
    """The weights of one convolution or linear layer.

    Attributes:
        weight: of the layer's type; [K, C_in, C_out] of a convolution, [C_out, C_in] of a linear layer.
        bias: float32 [C_out], or None.
    """

    weight: NDArray[Any]
    bias: NDArray[np.float32] | None


def layer_weights(operation: Operation, tensors: Mapping[str, NDArray[Any]], channels: int) -> LayerWeights:
    """Fold what follows a layer into its weights: scale * (x @ w + b) + shift = x @ (scale * w) + (scale * b + shift).

    Args:
        operation: a convolution or linear layer that fits its tensors.
        tensors: the weights of its bundle.
        channels: that go in; a linear layer with more columns uses some of them, from "first_column" on, and of its
            rows those of the attributes "first_output" and "outputs".
    """
    names = operation.weights
    bias = tensors[names["bias"]].astype(np.float32) if "bias" in names else None
    used = slice(None)
    if "weight" in names:
        a: dict[str, Any] = dict(operation.attributes)
        first, output = a.get("first_column", 0), a.get("first_output", 0)
        used = slice(output, output + a["outputs"] if "outputs" in a else None)
        weight, out_axis = tensors[names["weight"]][:, first : first + channels].astype(np.float32), 0
    else:
        weight = tensors[names["kernel"]].astype(np.float32)
        if weight.ndim == SPCONV_RANK:  # in the order of tables x is the fastest
            weight = weight.transpose(2, 1, 0, 3, 4).reshape(-1, *weight.shape[3:])
        out_axis = weight.ndim - 1
        if operation.op == "linear":
            weight, out_axis = weight.T, 0
    if "norm" in names:
        epsilon = float(operation.attributes.get("norm_epsilon", NORM_EPSILON))  # type: ignore[arg-type]
        scale, shift = scale_and_shift(names["norm"], tensors, epsilon)
        weight = weight * scale.reshape([-1 if axis == out_axis else 1 for axis in range(weight.ndim)])
        bias = shift if bias is None else scale * bias + shift
        if operation.attributes.get("norm_shift") is False:  # the other half of a layer adds it
            bias = None
    if out_axis == 0:
        weight, bias = weight[used], None if bias is None else np.ascontiguousarray(bias[used])
    return LayerWeights(np.ascontiguousarray(weight, operation.dtype), bias)


def scale_and_shift(
    norm: str, tensors: Mapping[str, NDArray[Any]], epsilon: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a batch norm does in evaluation: ``scale * x + shift`` for each channel, both float32 [C]."""
    weight, bias, mean, variance = (
        tensors[f"{norm}.{vector}"].astype(np.float64) for vector in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / np.sqrt(variance + epsilon)
    return scale.astype(np.float32), (bias - mean * scale).astype(np.float32)
