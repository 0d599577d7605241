"""Whether tables point into what they are used on: shapes alone would let a table of one level read another's rows.

An index counts the rows of one size, such as "voxels/2": the children of a coarse voxel are rows of the fine level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from perception.bundle.graph import CheckedGraph, Operation, Size
from perception.configuration import ConfigurationError

#: The only offsets that convolutions up and down use: those in 2x2x2 voxels.
_STRIDE = 2


@dataclass
class _Indices:
    """What is known so far.

    Attributes:
        rows: size that the entries of a value are rows of, by value.
        offsets: edge of the coarse voxel in which an offset lies, by value.
        edges: edge of a voxel, by size: 1 for those of the inputs.
        segments: how many segments there are of which a value has the bounds.
    """

    graph: CheckedGraph
    rows: dict[str, Size]
    offsets: dict[str, int]
    edges: dict[Size, int]
    segments: dict[str, Size]

    def count(self, operation: Operation, role: str) -> Size:
        """How many rows an input has."""
        return self.graph.specs[operation.inputs[role]].shape[0]

    def point_into(self, operation: Operation, role: str, target: Size) -> Iterator[str]:
        """Complain unless an input's entries are rows of `target`."""
        found = self.rows.get(operation.inputs[role])
        if found != target:
            yield f"its input '{role}' counts {'no rows' if found is None else f'rows of {found}'}, not of {target}"

    def segment(self, operation: Operation) -> Iterator[str]:
        """Complain unless the bounds are those of as many segments as there are pillars."""
        if self.segments.get(operation.inputs["begins"]) != self.count(operation, "coords"):
            yield "its input 'begins' is not of the pillars in 'coords'"

    def in_cube(self, operation: Operation) -> Iterator[str]:
        """Complain unless the offsets are those of stride 2."""
        if self.offsets.get(operation.inputs["offset"]) != _STRIDE:
            yield "its input 'offset' is not of a stride of 2"


def check_indices(graph: CheckedGraph, source: object) -> None:
    """Check where every table points.

    Raises:
        ConfigurationError: one sentence that names the operation.
    """
    edges: dict[Size, int] = {size: 1 for spec in graph.graph.inputs.values() for size in spec.shape}
    indices = _Indices(graph, {}, {}, edges, {})
    for operation in graph.operations:
        for complaint in _CHECKS.get(operation.op, _residual)(operation, indices):
            raise ConfigurationError(f"{source}: '{operation.name}' ({operation.op}): {complaint}")


def _residual(operation: Operation, indices: _Indices) -> Iterator[str]:
    """What any layer may have."""
    if "residual_rows" in operation.inputs:
        yield from indices.point_into(operation, "residual_rows", indices.count(operation, "residual"))


def _downsample(operation: Operation, indices: _Indices) -> Iterator[str]:
    coarse = indices.graph.specs[operation.outputs["coords"]].shape[0]
    if not isinstance(coarse, str):
        yield f"its attribute 'rows' is {coarse}, expected the name of a size"
    stride = operation.attributes.get("stride", _STRIDE)
    assert isinstance(stride, int), "as checked with the operation's shapes"
    indices.edges[coarse] = indices.edges.get(indices.count(operation, "coords"), 1) * stride
    indices.rows[operation.outputs["parent"]] = coarse
    indices.offsets[operation.outputs["offset"]] = stride


def _submanifold_table(operation: Operation, indices: _Indices) -> Iterator[str]:
    indices.rows[operation.outputs["table"]] = indices.count(operation, "coords")
    yield from ()


def _strided_table(operation: Operation, indices: _Indices) -> Iterator[str]:
    yield from indices.point_into(operation, "parent", indices.count(operation, "coords"))
    yield from indices.in_cube(operation)
    indices.rows[operation.outputs["table"]] = indices.count(operation, "parent")


def _trilinear_table(operation: Operation, indices: _Indices) -> Iterator[str]:
    coarse = indices.count(operation, "coords")
    stride, edge = operation.attributes["stride"], indices.edges.get(coarse)
    if indices.edges.get(indices.count(operation, "points")) != 1 or stride != edge:
        yield f"its attribute 'stride' is {stride}, but the voxels are of edge {edge}"
    indices.rows[operation.outputs["rows"]] = coarse


def _take_rows(operation: Operation, indices: _Indices) -> Iterator[str]:
    yield from indices.point_into(operation, "rows", indices.count(operation, "values"))
    values = operation.inputs["values"]
    if values not in indices.rows:
        yield "its input 'values' counts no rows"
    indices.rows[operation.outputs["values"]] = indices.rows.get(values, 0)


def _sparse_convolution(operation: Operation, indices: _Indices) -> Iterator[str]:
    yield from indices.point_into(operation, "table", indices.count(operation, "features"))
    yield from _residual(operation, indices)


def _inverse_convolution(operation: Operation, indices: _Indices) -> Iterator[str]:
    yield from indices.point_into(operation, "parent", indices.count(operation, "features"))
    yield from indices.in_cube(operation)
    yield from _residual(operation, indices)


def _devoxelize(operation: Operation, indices: _Indices) -> Iterator[str]:
    yield from indices.point_into(operation, "rows", indices.count(operation, "features"))


def _scatter_mean(operation: Operation, indices: _Indices) -> Iterator[str]:
    yield from indices.point_into(operation, "rows", indices.count(operation, "coords"))


def _find_pillars(operation: Operation, indices: _Indices) -> Iterator[str]:
    shapes = {role: indices.graph.specs[value].shape for role, value in operation.outputs.items()}
    if not all(isinstance(shapes[role][0], str) for role in ("coords", "order", "begins")):
        yield "its attributes 'rows', 'returns' and 'bounds' must be names of sizes"
    outputs = operation.outputs
    indices.rows[outputs["order"]] = indices.count(operation, "points")
    indices.rows[outputs["pillar"]] = indices.segments[outputs["begins"]] = shapes["coords"][0]
    indices.rows[outputs["begins"]] = shapes["order"][0]


def _pillar_features(operation: Operation, indices: _Indices) -> Iterator[str]:
    yield from indices.point_into(operation, "order", indices.count(operation, "points"))
    yield from indices.point_into(operation, "pillar", indices.count(operation, "coords"))
    yield from indices.point_into(operation, "begins", indices.count(operation, "order"))
    yield from indices.segment(operation)


def _segment_max(operation: Operation, indices: _Indices) -> Iterator[str]:
    yield from indices.point_into(operation, "begins", indices.count(operation, "features"))
    yield from indices.segment(operation)


def _window_order(operation: Operation, indices: _Indices) -> Iterator[str]:
    indices.rows[operation.outputs["order"]] = indices.count(operation, "coords")
    yield from ()


def _group_tokens(operation: Operation, indices: _Indices) -> Iterator[str]:
    slots = indices.graph.specs[operation.outputs["flat2win"]].shape[0]
    if not isinstance(slots, str):
        yield f"its attribute 'slots' is {slots}, expected the name of a size"
    indices.rows[operation.outputs["flat2win"]] = indices.count(operation, "coords")
    indices.rows[operation.outputs["win2flat"]] = slots


def _group_attention(operation: Operation, indices: _Indices) -> Iterator[str]:
    yield from indices.point_into(operation, "order", indices.count(operation, "values"))
    yield from indices.point_into(operation, "flat2win", indices.count(operation, "values"))
    yield from indices.point_into(operation, "win2flat", indices.count(operation, "flat2win"))


def _voxelize(operation: Operation, indices: _Indices) -> Iterator[str]:
    rows = indices.graph.specs[operation.outputs["coords"]].shape[0]
    if not isinstance(rows, str):
        yield f"its attribute 'rows' is {rows}, expected the name of a size"


def _window_table(operation: Operation, indices: _Indices) -> Iterator[str]:
    yield from _voxelize(operation, indices)
    indices.rows[operation.outputs["table"]] = indices.count(operation, "coords")


_CHECKS: dict[str, Callable[[Operation, _Indices], Iterator[str]]] = {
    "downsample": _downsample,
    "submanifold_table": _submanifold_table,
    "strided_table": _strided_table,
    "trilinear_table": _trilinear_table,
    "take_rows": _take_rows,
    "sparse_convolution": _sparse_convolution,
    "inverse_convolution": _inverse_convolution,
    "devoxelize": _devoxelize,
    "scatter_mean": _scatter_mean,
    "find_pillars": _find_pillars,
    "pillar_features": _pillar_features,
    "segment_max": _segment_max,
    "window_order": _window_order,
    "group_tokens": _group_tokens,
    "group_attention": _group_attention,
    "voxelize": _voxelize,
    "window_table": _window_table,
}
