"""What each operation of a graph takes and gives: the checks of a bundle, and the arithmetic that a frame costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from perception.bundle.graph import CheckedGraph, Graph, Operation, Size, Spec
from perception.bundle.supernet import NORM_VECTORS
from perception.configuration import ConfigurationError

#: Shapes of the tensors in weights.safetensors, by name.
Shapes = Mapping[str, tuple[int, ...]]


class MisfitError(ValueError):
    """An operation that does not fit what goes into it; the message goes after its name."""


@dataclass(frozen=True)
class Arguments:
    """An operation with the types and shapes of what goes into it."""

    operation: Operation
    inputs: Mapping[str, Spec]
    shapes: Shapes

    def spec(self, role: str, dtype: str | None, *shape: Size | None) -> Spec:
        """An input, which must have the type (None: the operation's) and shape (None: any size)."""
        spec, wanted = self.inputs[role], dtype or self.operation.dtype
        fits = len(spec.shape) == len(shape) and all(b in (None, a) for a, b in zip(spec.shape, shape, strict=True))
        if spec.dtype != wanted or not fits:
            sizes = ", ".join("any" if size is None else str(size) for size in shape)
            raise MisfitError(f"its input '{role}' is {spec}, expected {wanted} [{sizes}]")
        return spec

    def weight(self, role: str, *shape: Size | None) -> tuple[int, ...]:
        """The shape of a weight, which must fit (None: any size)."""
        name = self.operation.weights[role]
        found = self.shapes.get(name)
        if found is None:
            raise MisfitError(f"there is no tensor '{name}' in the weights")
        if len(found) != len(shape) or any(b not in (None, a) for a, b in zip(found, shape, strict=True)):
            sizes = ", ".join("any" if size is None else str(size) for size in shape)
            raise MisfitError(f"'{name}' has the shape {list(found)}, expected [{sizes}]")
        return found

    def attribute(self, name: str, kind: type, default: Any = None) -> Any:
        """An attribute of a type; the default where it is left out."""
        value = self.operation.attributes.get(name, default)
        if type(value) is not kind:
            raise MisfitError(f"its attribute '{name}' is {value!r}, expected {kind.__name__}")
        return value

    def finish(self, rows: Size, channels: int) -> dict[str, Spec]:
        """What convolutions and linear layers end with: batch norm, bias, residual, ReLU."""
        weights = self.operation.weights
        if "norm" in weights:
            for vector in NORM_VECTORS:
                name = f"{weights['norm']}.{vector}"
                if name not in self.shapes:
                    raise MisfitError(f"there is no tensor '{name}' in the weights")
                if self.shapes[name] != (channels,):
                    raise MisfitError(f"'{name}' has the shape {list(self.shapes[name])}, expected [{channels}]")
            if not 0 < self.attribute("norm_epsilon", float, 1e-5) < 1:
                raise MisfitError("its attribute 'norm_epsilon' must lie between 0 and 1")
        if "bias" in weights:
            self.weight("bias", channels)
        if "residual" in self.inputs:
            self.spec("residual", None, rows, channels)
        self.attribute("relu", bool, False)
        return {"features": Spec(dtype=self.operation.dtype, shape=(rows, channels))}


@dataclass(frozen=True)
class Definition:
    """An operation of the executor.

    Attributes:
        inputs: roles that it must have.
        infer: types and shapes of what it gives.
        optional: roles that it may have.
        weights: the same of weights; `a|b` is one of two.
        multiplications: multiply-accumulates, given the arguments, what it gives, and counts; none by default.
        is_table: whether it depends on where voxels are only, not on features.
        is_planned: whether it writes features into memory that is planned for it.
    """

    inputs: tuple[str, ...]
    infer: Callable[[Arguments], dict[str, Spec]]
    optional: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    optional_weights: tuple[str, ...] = ()
    multiplications: Callable[[Arguments, Mapping[str, int]], int] | None = None
    is_table: bool = False
    is_planned: bool = False


def pairs_of(table: str) -> str:
    """The name under which counts say how many entries of a table exist."""
    return f"pairs of {table}"


def _downsample(call: Arguments) -> dict[str, Spec]:
    rows = call.spec("coords", "int32", None, 4).shape[0]
    coarse = call.attribute("rows", str)
    if not 2 <= call.attribute("stride", int, 2) <= 6:
        raise MisfitError("its attribute 'stride' must be 2 to 6")
    return {
        "coords": Spec(dtype="int32", shape=(coarse, 4)),
        "parent": Spec(dtype="int32", shape=(rows,)),
        "offset": Spec(dtype="uint8", shape=(rows,)),
    }


def _submanifold_table(call: Arguments) -> dict[str, Spec]:
    return {"table": Spec(dtype="int32", shape=(call.spec("coords", "int32", None, 4).shape[0], 27))}


def _strided_table(call: Arguments) -> dict[str, Spec]:
    rows = call.spec("parent", "int32", None).shape[0]
    call.spec("offset", "uint8", rows)
    return {"table": Spec(dtype="int32", shape=(call.spec("coords", "int32", None, 4).shape[0], 8))}


def _trilinear_table(call: Arguments) -> dict[str, Spec]:
    points = call.spec("points", "int32", None, 4).shape[0]
    call.spec("coords", "int32", None, 4)
    if call.attribute("stride", int) < 1:
        raise MisfitError("its attribute 'stride' must be positive")
    return {"rows": Spec(dtype="int32", shape=(points, 8)), "weights": Spec(dtype="float32", shape=(points, 8))}


def _take_rows(call: Arguments) -> dict[str, Spec]:
    call.spec("values", "int32", None)
    return {"values": Spec(dtype="int32", shape=call.spec("rows", "int32", None).shape)}


def _sparse_convolution(call: Arguments) -> dict[str, Spec]:
    channels = call.spec("features", None, None, None).shape[1]
    rows, volume = call.spec("table", "int32", None, None).shape
    return call.finish(rows, call.weight("kernel", volume, channels, None)[2])


def _inverse_convolution(call: Arguments) -> dict[str, Spec]:
    channels = call.spec("features", None, None, None).shape[1]
    rows = call.spec("parent", "int32", None).shape[0]
    call.spec("offset", "uint8", rows)
    return call.finish(rows, call.weight("kernel", 8, channels, None)[2])


def _linear(call: Arguments) -> dict[str, Spec]:
    rows, channels = call.spec("features", None, None, None).shape
    if "kernel" in call.operation.weights:
        return call.finish(rows, call.weight("kernel", channels, None)[1])
    outputs, columns = call.weight("weight", None, None)
    if not isinstance(channels, int) or columns < channels:
        raise MisfitError(f"'{call.operation.weights['weight']}' has {columns} columns for {channels} channels")
    return call.finish(rows, outputs)


def _concatenate(call: Arguments) -> dict[str, Spec]:
    rows = call.spec("a", None, None, None).shape[0]
    widths = [call.spec(role, None, rows, None).shape[1] for role in ("a", "b")]
    channels = [width for width in widths if isinstance(width, int)]
    if len(channels) < len(widths):
        raise MisfitError("its inputs must have a fixed number of channels")
    return {"features": Spec(dtype=call.operation.dtype, shape=(rows, sum(channels)))}


def _add(call: Arguments) -> dict[str, Spec]:
    shape = call.spec("a", None, None, None).shape
    call.spec("b", None, *shape)
    call.attribute("relu", bool, False)
    return {"features": Spec(dtype=call.operation.dtype, shape=shape)}


def _cast(call: Arguments) -> dict[str, Spec]:
    spec = call.inputs["features"]
    if spec.dtype not in ("float32", "float16"):
        raise MisfitError(f"its input 'features' is {spec}, expected float32 or float16")
    return {"features": Spec(dtype=call.operation.dtype, shape=spec.shape)}


def _devoxelize(call: Arguments) -> dict[str, Spec]:
    channels = call.spec("features", None, None, None).shape[1]
    points = call.spec("rows", "int32", None, 8).shape[0]
    call.spec("weights", "float32", points, 8)
    return {"features": Spec(dtype=call.operation.dtype, shape=(points, channels))}


def _scatter_mean(call: Arguments) -> dict[str, Spec]:
    points, channels = call.spec("features", None, None, None).shape
    call.spec("rows", "int32", points)
    rows = call.spec("coords", "int32", None, 4).shape[0]
    return {"features": Spec(dtype=call.operation.dtype, shape=(rows, channels))}


def _grid_coordinates(call: Arguments) -> dict[str, Spec]:
    batches, channels, points = call.spec("points", "float32", None, None, None).shape
    if not isinstance(channels, int) or channels < 3:
        raise MisfitError(f"its input 'points' has {channels} channels, expected x, y, z first")
    _resolution(call)
    if call.attribute("placement", str) not in ("fixed", "normalize", "center"):
        raise MisfitError("its attribute 'placement' must be fixed, normalize or center")
    return {"coordinates": Spec(dtype="float32", shape=(batches, 3, points))}


def _dense_voxelize(call: Arguments) -> dict[str, Spec]:
    batches, channels, points = call.spec("features", "float32", None, None, None).shape
    call.spec("coordinates", "float32", batches, 3, points)
    return {"volume": Spec(dtype="float32", shape=(batches, channels, *(_resolution(call),) * 3))}


def _dense_devoxelize(call: Arguments) -> dict[str, Spec]:
    batches, channels, *_ = call.spec("volume", "float32", None, None, None, None, None).shape
    points = call.spec("coordinates", "float32", batches, 3, None).shape[2]
    return {"features": Spec(dtype="float32", shape=(batches, channels, points))}


def _resolution(call: Arguments) -> int:
    resolution: int = call.attribute("resolution", int)
    if not 1 <= resolution <= 256:
        raise MisfitError(f"its attribute 'resolution' is {resolution}, expected 1 to 256")
    return resolution


def _dense_region(call: Arguments) -> dict[str, Spec]:
    file = call.attribute("file", str)
    if not file.endswith(".onnx") or "/" in file or "\\" in file or file.startswith("."):
        raise MisfitError(f"its attribute 'file' is {file!r}, expected the name of an .onnx file of the bundle")
    shapes = call.attribute("shapes", dict)
    if set(shapes) != set(call.operation.outputs):
        raise MisfitError("its attribute 'shapes' must give the shape of each output")
    if not all(isinstance(shape, tuple) for shape in shapes.values()):
        raise MisfitError("its attribute 'shapes' must hold shapes")
    return {role: Spec(dtype="float32", shape=shape) for role, shape in shapes.items()}


def _of_convolution(call: Arguments, counts: Mapping[str, int]) -> int:
    _, inputs, outputs = call.shapes[call.operation.weights["kernel"]]
    return counts[pairs_of(call.operation.inputs["table"])] * inputs * outputs


def _of_inverse_convolution(call: Arguments, counts: Mapping[str, int]) -> int:
    _, inputs, outputs = call.shapes[call.operation.weights["kernel"]]
    return _size(call.inputs["parent"].shape[0], counts) * inputs * outputs


def _of_linear(call: Arguments, counts: Mapping[str, int]) -> int:
    rows, channels = call.inputs["features"].shape
    weights = call.operation.weights
    outputs = call.shapes[weights["kernel"]][1] if "kernel" in weights else call.shapes[weights["weight"]][0]
    return _size(rows, counts) * _size(channels, counts) * outputs


def _of_region(call: Arguments, counts: Mapping[str, int]) -> int:
    """The sum of terms such as {"blocks*points": 1024}: multiply-accumulates for each unit of those sizes."""
    terms = call.operation.attributes.get("multiplications")
    total = 0
    for term, factor in terms.items() if isinstance(terms, dict) else ():
        units = math.prod(counts.get(size, 0) for size in term.split("*") if size)
        total += units * factor if isinstance(factor, int) else 0
    return total


def _size(size: Size, counts: Mapping[str, int]) -> int:
    return counts[size] if isinstance(size, str) else size


def _layer(
    inputs: tuple[str, ...],
    weight: str,
    infer_layer: Callable[[Arguments], dict[str, Spec]],
    cost: Callable[[Arguments, Mapping[str, int]], int],
) -> Definition:
    """A layer with what may follow it in one call."""
    return Definition(inputs, infer_layer, ("residual",), (weight,), ("bias", "norm"), cost, is_planned=True)


DEFINITIONS: dict[str, Definition] = {
    "downsample": Definition(("coords",), _downsample, is_table=True),
    "submanifold_table": Definition(("coords",), _submanifold_table, is_table=True),
    "strided_table": Definition(("parent", "offset", "coords"), _strided_table, is_table=True),
    "trilinear_table": Definition(("points", "coords"), _trilinear_table, is_table=True),
    "take_rows": Definition(("values", "rows"), _take_rows, is_table=True),
    "sparse_convolution": _layer(("features", "table"), "kernel", _sparse_convolution, _of_convolution),
    "inverse_convolution": _layer(
        ("features", "parent", "offset"), "kernel", _inverse_convolution, _of_inverse_convolution
    ),
    "linear": _layer(("features",), "kernel|weight", _linear, _of_linear),
    "concatenate": Definition(("a", "b"), _concatenate, is_planned=True),
    "add": Definition(("a", "b"), _add, is_planned=True),
    "cast": Definition(("features",), _cast, is_planned=True),
    "devoxelize": Definition(("features", "rows", "weights"), _devoxelize, is_planned=True),
    "scatter_mean": Definition(("features", "rows", "coords"), _scatter_mean, is_planned=True),
    "grid_coordinates": Definition(("points",), _grid_coordinates, is_table=True),
    "dense_voxelize": Definition(("features", "coordinates"), _dense_voxelize),
    "dense_devoxelize": Definition(("volume", "coordinates"), _dense_devoxelize),
    "dense_region": Definition((), _dense_region, optional=("*",), multiplications=_of_region),
}


def check_graph(graph: Graph, shapes: Shapes, source: object) -> CheckedGraph:
    """Work out the type and shape of every value; an operation that does not fit is an error.

    Args:
        graph: parsed.
        shapes: of the tensors in its weights.
        source: the file, for messages.

    Raises:
        ConfigurationError: one line that names the operation and what it expected.
    """
    specs: dict[str, Spec] = dict(graph.inputs)
    # Tables first: all sizes are known after them.
    operations = sorted(graph.operations, key=lambda operation: not _is_table(operation))
    for operation in operations:
        try:
            made = infer(operation, specs, shapes)
        except (MisfitError, ValueError) as error:
            reason = str(error) if isinstance(error, MisfitError) else "a size of its result is out of range"
            raise ConfigurationError(f"{source}: '{operation.name}' ({operation.op}): {reason}") from None
        specs |= {operation.outputs[role]: spec for role, spec in made.items()}
    return CheckedGraph(graph.model_copy(update={"operations": tuple(operations)}), specs)


def _is_table(operation: Operation) -> bool:
    definition = DEFINITIONS.get(operation.op)
    return definition is not None and definition.is_table


def infer(operation: Operation, specs: Mapping[str, Spec], shapes: Shapes) -> dict[str, Spec]:
    """Types and shapes of what an operation gives, by role.

    Raises:
        ValueError: it does not fit what goes into it.
    """
    definition = DEFINITIONS.get(operation.op)
    if definition is None:
        raise MisfitError(f"there is no such operation (known: {', '.join(sorted(DEFINITIONS))})")
    _check_roles("input", operation.inputs, definition.inputs, definition.optional)
    _check_roles("weight", operation.weights, definition.weights, definition.optional_weights)
    if any(value not in specs for value in operation.inputs.values()):
        raise MisfitError("it is computed before all features, but needs some")
    made = definition.infer(arguments_of(operation, specs, shapes))
    known = {size for spec in specs.values() for size in spec.shape}
    named = {size for spec in made.values() for size in spec.shape if isinstance(size, str)}
    if operation.op == "downsample":
        rows = str(operation.attributes["rows"])
        if rows in known:
            raise MisfitError(f"its attribute 'rows' is '{rows}', which another operation uses")
        named.discard(rows)
    if not named <= known:
        raise MisfitError(f"the size '{min(named - known)}' is known nowhere before it")
    if set(operation.outputs) != set(made):
        raise MisfitError(f"its outputs are {sorted(operation.outputs)}, expected {sorted(made)}")
    return made


def arguments_of(operation: Operation, specs: Mapping[str, Spec], shapes: Shapes) -> Arguments:
    """An operation with what is known of its inputs."""
    return Arguments(operation, {role: specs[value] for role, value in operation.inputs.items()}, shapes)


def multiplications(checked: CheckedGraph, shapes: Shapes, counts: Mapping[str, int]) -> dict[str, int]:
    """Multiply-accumulates of every operation that has any, by its name.

    Args:
        checked: the graph.
        shapes: of its weights.
        counts: the sizes that have names, and `pairs_of` every table.
    """
    costs = {}
    for operation in checked.operations:
        cost = DEFINITIONS[operation.op].multiplications
        if cost is not None:
            costs[operation.name] = cost(arguments_of(operation, checked.specs, shapes), counts)
    return costs


def _check_roles(what: str, given: Mapping[str, str], required: tuple[str, ...], optional: tuple[str, ...]) -> None:
    known = set(optional)
    for role in required:
        choices = role.split("|")
        known |= set(choices)
        if sum(choice in given for choice in choices) != 1:
            raise MisfitError(f"it needs the {what} '{' or '.join(choices)}'")
    unknown = sorted(set(given) - known)
    if unknown and "*" not in optional:
        raise MisfitError(f"it knows no {what} '{unknown[0]}'")
