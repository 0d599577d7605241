"""Dense steps as the bytes of an ONNX file that ONNX Runtime and TensorRT 10 read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import fx

from perception.bundle.graph import Size
from perception.export.dense_layers import DenseStep, Shape

#: Known to every TensorRT from 8.6 on, and to ONNX Runtime from 1.15 on.
OPSET = 17
IR_VERSION = 8


def write_onnx(
    name: str,
    steps: Sequence[DenseStep],
    inputs: Mapping[str, tuple[fx.Node, Shape]],
    outputs: Mapping[str, DenseStep],
) -> bytes:
    """Write a file with its weights in it.

    Args:
        name: of the graph.
        steps: in order.
        inputs: name -> the step of the record that it is, and its sizes; those with names may differ at every call.
        outputs: name -> the step whose result it is.
    """
    writer = _Writer({node: role for role, (node, _) in inputs.items()}, {step.node: r for r, step in outputs.items()})
    sizes = [(role, shape) for role, (_, shape) in inputs.items()]
    for step in steps:
        writer.add(step, sizes)
        sizes.append((writer.name(step.node), step.shape))
    graph = helper.make_graph(
        writer.nodes,
        name,
        [_info(role, shape) for role, (_, shape) in inputs.items()],
        [_info(role, step.shape) for role, step in outputs.items()],
        writer.constants,
    )
    model = helper.make_model(graph, producer_name="perception", opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


class _Writer:
    """The nodes of a file.

    Attributes:
        nodes: in order.
        constants: weights and fixed shapes.
    """

    def __init__(self, inputs: Mapping[fx.Node, str], outputs: Mapping[fx.Node, str]) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._names = {**inputs, **outputs}

    def name(self, node: fx.Node) -> str:
        """What a value is called in the file."""
        if node in self._names:
            return self._names[node]
        # An input or output may have been called after another step.
        return f"{node.name}.inner" if node.name in self._names.values() else node.name

    def add(self, step: DenseStep, sizes: Sequence[tuple[str, Shape]]) -> None:
        """Add an operation; `sizes` are those of the values before it, of which an Expand takes unknown ones."""
        output = self.name(step.node)
        inputs = [self.name(node) for node in step.inputs]
        inputs += [self._constant(f"{output}.{at}", weight) for at, weight in enumerate(step.weights)]
        if step.op == "Expand":
            inputs.append(self._shape_like(output, step.shape, sizes))
        self._node(step.op, inputs, output, **step.attributes)

    def _shape_like(self, name: str, shape: Shape, sizes: Sequence[tuple[str, Shape]]) -> str:
        parts = []
        for axis, size in enumerate(shape):
            part = f"{name}.size{axis}"
            if isinstance(size, int):
                parts.append(self._constant(part, np.array([size], np.int64)))
                continue
            value, where = next((value, known.index(size)) for value, known in sizes if size in known)
            self._node("Shape", [value], f"{part}.all")
            self._node("Gather", [f"{part}.all", self._constant(f"{part}.axis", np.array([where], np.int64))], part)
            parts.append(part)
        self._node("Concat", parts, f"{name}.shape", axis=0)
        return f"{name}.shape"

    def _constant(self, name: str, values: Any) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _node(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))


def _info(name: str, shape: Sequence[Size]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
