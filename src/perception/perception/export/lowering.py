"""From a recorded network to the operations of a bundle's graph, and the ONNX files of its dense regions."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

from perception.bundle.graph import Graph, Spec
from perception.export import rows, tables
from perception.export.drafts import Draft, Drafts, in_order
from perception.export.names import arguments
from perception.export.regions import make_regions
from perception.export.tracing import TracedNetwork
from perception.nn import pvconv
from perception.nn.backends import NATIVE

Step = Callable[[Drafts, fx.Node], None]

#: What the operations of our layers become.
KERNELS: dict[Any, Step] = {
    NATIVE.downsample: tables.add_downsample,
    NATIVE.submanifold_table: tables.add_submanifold_table,
    NATIVE.strided_table: tables.add_strided_table,
    NATIVE.trilinear_table: tables.add_trilinear_table,
    NATIVE.sparse_convolution: rows.add_sparse_convolution,
    NATIVE.inverse_convolution: rows.add_inverse_convolution,
    NATIVE.devoxelize: rows.add_devoxelize,
    NATIVE.scatter_mean: rows.add_scatter_mean,
    pvconv.grid_coordinates: tables.add_grid_coordinates,
    pvconv.voxelize: tables.add_voxelize,
    pvconv.devoxelize: tables.add_devoxelize,
}
#: What PyTorch's functions become on rows; on anything else they become part of a dense region.
ON_ROWS: dict[Any, Step] = {
    operator.getitem: tables.add_take_rows,
    operator.matmul: rows.add_matrix_product,
    operator.add: rows.add_sum,
    F.linear: rows.add_linear,
    torch.cat: rows.add_concatenation,
}


@dataclass(frozen=True)
class LoweredNetwork:
    """A network as operations.

    Attributes:
        graph: everything in float32.
        regions: ONNX files, by name.
        twins: value -> the step of the record that gives the same in PyTorch.
    """

    graph: Graph
    regions: Mapping[str, bytes]
    twins: Mapping[str, Hashable]


def lower(traced: TracedNetwork, inputs: Mapping[str, Spec]) -> LoweredNetwork:
    """Express a recorded network in operations of the executor.

    Batch norm, a residual sum and ReLU after a layer become part of its operation. Tables come first: they need
    coordinates only. What works on batches instead of rows goes into dense regions.

    Args:
        traced: the record.
        inputs: type and shape of each input, in the order of the network's arguments.

    Raises:
        ConfigurationError: the executor has no operation for a step; the message names its layer.
    """
    drafts, roles = Drafts(traced.network), iter(inputs)
    output = ""
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            role = next(roles)
            drafts.name(node, role, inputs[role])
            drafts.dense.note(node, inputs[role], is_table=True)
        elif node.op == "output":
            output = drafts.value(arguments(node)[0], node)
        else:
            _add(drafts, node)
    regions = make_regions(drafts.dense, drafts.names)
    operations = dict(drafts.operations)
    for region in regions:
        attributes = {"file": region.file, "shapes": region.shapes, "multiplications": region.multiplications}
        operations[region.name] = Draft("dense_region", region.stage, region.inputs, region.outputs, {}, attributes)
    graph = Graph(inputs=dict(inputs), outputs={"scores": output}, operations=tuple(in_order(operations, set(inputs))))
    made = {value for operation in graph.operations for value in operation.outputs.values()}
    twins = {value: node for value, node in drafts.twins.items() if value in made}
    return LoweredNetwork(graph, {region.file: region.content for region in regions}, twins)


def _add(drafts: Drafts, node: fx.Node) -> None:
    if node.op == "get_attr" or _selects(drafts, node):
        return
    if node.target in KERNELS:
        KERNELS[node.target](drafts, node)
    elif drafts.dense.takes(node):
        drafts.name(node, *drafts.dense.add(node), node)
    else:
        ON_ROWS.get(node.target, rows.add_module)(drafts, node)


def _selects(drafts: Drafts, node: fx.Node) -> bool:
    """Whether a step takes one of several results, a size, a part of a weight, or the coordinates of points."""
    if node.target not in (getattr, operator.getitem):
        return False
    source, key = arguments(node)
    # The record takes the table's parts by number, where the graph has roles.
    role = {0: "rows", 1: "weights"}.get(key, key) if isinstance(key, int) else key
    if isinstance(role, str) and (source, role) in drafts.names:
        value = drafts.names[source, role]
        drafts.name(node, value, drafts.specs[value], node)
        return True
    return source.op == "get_attr" or drafts.dense.measures(node) or tables.is_coordinates(node)
