"""Small ONNX networks for the tests of dense regions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

#: What the newest ONNX Runtime for Python 3.10 reads as well.
OPSET, IR_VERSION = 17, 10


def save(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], tensors: dict[str, Any]) -> Path:
    """Write a graph; `inputs` and `outputs` are (name, dtype, shape)."""
    values = [
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
            for name, dtype, shape in group
        ]
        for group in (inputs, outputs)
    ]
    weights = [numpy_helper.from_array(np.asarray(tensor), name) for name, tensor in tensors.items()]
    graph = helper.make_graph(nodes, path.stem, *values, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def convolution(path: Path, dtype: Any = np.float32, scale: float = 1.0) -> tuple[Path, np.ndarray]:
    """A pointwise convolution with ReLU, [blocks, 3, 4, 4] to [blocks, 5, 4, 4]; and its weight [5, 3]."""
    weight = (np.random.default_rng(0).normal(size=(5, 3)) * scale).astype(dtype)
    nodes = [
        helper.make_node("Conv", ["features", "weight"], ["product"], kernel_shape=[1, 1]),
        helper.make_node("Relu", ["product"], ["result"]),
    ]
    inputs = [("features", dtype, ["blocks", 3, 4, 4])]
    outputs = [("result", dtype, ["blocks", 5, 4, 4])]
    return save(path, nodes, inputs, outputs, {"weight": weight[:, :, None, None]}), weight


def two_by_two(path: Path) -> Path:
    """Two inputs [rows, 2] and two outputs: their sum and their difference."""
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["difference"])]
    both = [(name, np.float32, ["rows", 2]) for name in ("a", "b", "sum", "difference")]
    return save(path, nodes, both[:2], both[2:], {})
