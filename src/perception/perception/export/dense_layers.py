"""Dense layers as ONNX knows them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from perception.bundle.graph import Size

Shape = tuple[Size, ...]


@dataclass(frozen=True)
class DenseStep:
    """One operation of ONNX.

    Attributes:
        node: the step of the record that it ends with.
        op: ONNX's name of it.
        inputs: the steps that it reads.
        shape: of its result.
        attributes: as ONNX has them.
        weights: constant inputs after the others.
        layer: the module that the weights are of, with the norms that were folded into it.
        cost: multiply-accumulates, by the sizes that they grow with, such as {"blocks*points": 64}.
    """

    node: fx.Node
    op: str
    inputs: tuple[fx.Node, ...]
    shape: Shape
    attributes: dict[str, Any] = field(default_factory=dict)
    weights: tuple[NDArray[Any], ...] = ()
    layer: nn.Module | None = None
    cost: dict[str, int] = field(default_factory=dict)


def convolution(node: fx.Node, source: fx.Node, layer: Any, shape: Shape) -> DenseStep:
    """A convolution of 1, 2 or 3 dimensions of a batch of a shape."""
    sides = zip(shape[2:], layer.kernel_size, layer.stride, layer.padding, layer.dilation, strict=True)
    spatial = tuple(_reach(*side) for side in sides)
    attributes = {
        "kernel_shape": list(layer.kernel_size),
        "strides": list(layer.stride),
        "pads": [*layer.padding, *layer.padding],
        "dilations": list(layer.dilation),
        "group": layer.groups,
    }
    result = (shape[0], layer.out_channels, *spatial)
    each = math.prod(layer.kernel_size) * layer.in_channels // layer.groups
    cost = _cost(result, each)
    return DenseStep(node, "Conv", (source,), result, attributes, weights_of(layer), layer, cost)


def transposed_convolution(node: fx.Node, source: fx.Node, layer: nn.ConvTranspose2d, shape: Shape) -> DenseStep:
    """A transposed convolution of a map whose size is known."""
    if any(layer.padding) or any(layer.output_padding) or layer.dilation != (1, 1) or layer.groups > 1:
        raise ValueError("a transposed convolution must have no padding, dilation or groups")
    height, width = (int(size) for size in shape[2:])
    spatial = tuple(
        (size - 1) * stride + kernel
        for size, stride, kernel in zip((height, width), layer.stride, layer.kernel_size, strict=True)
    )
    attributes = {"kernel_shape": list(layer.kernel_size), "strides": list(layer.stride)}
    cost = _cost(shape, math.prod(layer.kernel_size) * layer.out_channels)
    result = (shape[0], layer.out_channels, *spatial)
    return DenseStep(node, "ConvTranspose", (source,), result, attributes, weights_of(layer), layer, cost)


def with_norm(layer: nn.Module, norm: Any) -> nn.Module:
    """A layer with the batch norm after it in its weights."""
    if isinstance(layer, nn.Linear):
        return fuse_linear_bn_eval(layer, norm)
    some_convolution: Any = layer
    return fuse_conv_bn_eval(some_convolution, norm, transpose=isinstance(layer, nn.ConvTranspose2d))


def _reach(size: Size, kernel: int, stride: int, padding: int, dilation: int) -> Size:
    if isinstance(size, int):
        return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    if (kernel, stride, padding) != (1, 1, 0):
        raise ValueError("a convolution along an axis of unknown size must have size 1")
    return size


def linear(node: fx.Node, source: fx.Node, layer: nn.Linear, shape: Shape) -> DenseStep:
    """A linear layer on [B, C]."""
    result = (shape[0], layer.out_features)
    cost = _cost(result, layer.in_features)
    return DenseStep(node, "Gemm", (source,), result, {"transB": 1}, weights_of(layer), layer, cost)


def _cost(result: Shape, each: int) -> dict[str, int]:
    symbols = "*".join(size for size in result if isinstance(size, str))
    return {symbols: math.prod(size for size in result if isinstance(size, int)) * each}


def weights_of(layer: nn.Module) -> tuple[NDArray[Any], ...]:
    """Weight and bias, if any."""
    tensors = (getattr(layer, "weight", None), getattr(layer, "bias", None))
    return tuple(tensor.detach().numpy() for tensor in tensors if isinstance(tensor, Tensor))
