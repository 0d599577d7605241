"""Writing measured ranges into an ONNX network, as pairs of QuantizeLinear and DequantizeLinear.

Both TensorRTs and ONNX Runtime then compute in int8 between such pairs. Quantised are the layers that take the time,
convolutions and matrix products with constant weights: their activations per tensor, their weights per output channel,
both symmetric about zero, as TensorRT wants them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception.configuration import ConfigurationError
from perception.runtime.dense.ranges import RangeTable

#: Largest magnitude of a weight or activation in int8; -128 is left out, so that zero is in the middle.
LARGEST = 127
SMALLEST_SCALE = 1e-8


class Layer(NamedTuple):
    """A layer that can be computed in int8.

    Attributes:
        node: of the ONNX graph.
        activation: name of what is multiplied.
        weight: what it is multiplied with.
        axis: of the weight, along which its output channels lie; None where they lie along none alone.
    """

    node: Any
    activation: str
    weight: NDArray[np.float32]
    axis: int | None


def quantizable_layers(model: Any) -> list[Layer]:
    """List the layers of an onnx.ModelProto that can be computed in int8."""
    numpy_helper = import_onnx().numpy_helper
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    layers = []
    for node in model.graph.node:
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul") or node.input[1] not in tensors:
            continue
        weight = numpy_helper.to_array(tensors[node.input[1]])
        if weight.dtype == np.float32 and node.input[0] not in tensors:
            layers.append(Layer(node, node.input[0], weight, _channel_axis(node, weight)))
    return layers


def has_quantizable_layers(network: bytes) -> bool:
    """Whether the contents of an ONNX file hold a layer that can be computed in int8."""
    return bool(quantizable_layers(import_onnx().load_from_string(network)))


def quantize(network: bytes, table: RangeTable, path: Path) -> bytes:
    """Make the int8 form of a network.

    Args:
        network: contents of an ONNX file with float32 layers.
        table: ranges of its activations.
        path: where it came from, for messages.

    Raises:
        ConfigurationError: the table lacks a range.
    """
    onnx = import_onnx()
    model = onnx.load_from_string(network)
    layers = quantizable_layers(model)
    missing = sorted({layer.activation for layer in layers} - table.limits.keys())
    if missing:
        raise ConfigurationError(f"{path}: the table of ranges lacks '{missing[0]}'; calibrate again")
    nodes: list[Any] = []
    for node in model.graph.node:
        layer = next((layer for layer in layers if layer.node is node), None)
        if layer is not None:
            nodes += _quantize_layer(layer, table.limits[layer.activation], model.graph)
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(_once(nodes))
    _remove_unused(model.graph)
    quantized: bytes = model.SerializeToString()
    return quantized


def import_onnx(purpose: str = "int8") -> Any:
    """Import the onnx package, which only the change of a network's precision needs.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise ConfigurationError(
            f"{purpose} needs the package onnx to write networks; type: pip install onnx"
        ) from None
    return onnx


def _quantize_layer(layer: Layer, limit: float, graph: Any) -> list[Any]:
    """The nodes before a layer that give it int8 inputs; the layer's own inputs are changed to theirs."""
    onnx = import_onnx()
    name, weight_name = layer.activation, layer.node.input[1]
    rounded, scales = quantize_weight(layer.weight, layer.axis)
    # An operation may use one weight along another axis than its neighbour.
    quantized = f"{weight_name}/int8/{'all' if layer.axis is None else layer.axis}"
    constants = {
        f"{name}/scale": np.float32(max(limit / LARGEST, SMALLEST_SCALE)),
        f"{name}/zero": np.int8(0),
        quantized: rounded,
        f"{quantized}/scale": scales,
        f"{quantized}/zero": np.zeros(scales.shape, np.int8),
    }
    known = {tensor.name for tensor in graph.initializer}
    new = {key: np.asarray(value) for key, value in constants.items() if key not in known}
    graph.initializer.extend(onnx.numpy_helper.from_array(value, key) for key, value in new.items())
    layer.node.input[0], layer.node.input[1] = f"{name}/dequantized", f"{quantized}/dequantized"
    scale = [f"{name}/scale", f"{name}/zero"]
    axis = {} if layer.axis is None else {"axis": layer.axis}
    make = onnx.helper.make_node
    weight_inputs = [quantized, f"{quantized}/scale", f"{quantized}/zero"]
    return [
        make("QuantizeLinear", [name, *scale], [f"{name}/quantized"], name=f"{name}/quantize"),
        make("DequantizeLinear", [f"{name}/quantized", *scale], [f"{name}/dequantized"], name=f"{name}/dequantize"),
        make("DequantizeLinear", weight_inputs, [f"{quantized}/dequantized"], name=f"{quantized}/dequantize", **axis),
    ]


def quantize_weight(weight: NDArray[np.float32], axis: int | None) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round a weight to int8, with a scale for each channel along an axis, or one scale for all of it."""
    others = tuple(other for other in range(weight.ndim) if other != axis)
    peaks = np.abs(weight).max(axis=others, keepdims=True, initial=0) if axis is not None else np.abs(weight).max()
    scales = np.maximum(peaks / LARGEST, SMALLEST_SCALE).astype(np.float32)
    rounded = np.clip(np.rint(weight / scales), -LARGEST, LARGEST).astype(np.int8)
    return rounded, scales.reshape(-1) if axis is not None else scales


def _channel_axis(node: Any, weight: NDArray[np.float32]) -> int | None:
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1 if attributes.get("group", 1) == 1 else None
    if node.op_type == "Gemm":
        return 0 if attributes.get("transB", 0) else 1
    return weight.ndim - 1 if weight.ndim == 2 else None


def _once(nodes: list[Any]) -> Iterator[Any]:
    """Leave out nodes that make what another one made before: an activation may feed several layers."""
    made: set[str] = set()
    for node in nodes:
        if not made.intersection(node.output):
            made.update(node.output)
            yield node


def _remove_unused(graph: Any) -> None:
    """Drop the float weights that no node reads any more."""
    read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
