"""A bundle's graph, `graph.json`: the operations of a network in the order in which they run.

Plain data that needs no training framework. What each operation takes and gives is said by
`perception.bundle.operations`; working out every shape from the inputs on is at the same time the check of a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic

from perception.configuration import ConfigurationError, Settings, parse_settings

GRAPH_FILE = "graph.json"

#: A size: a number, or a name for one that differs from frame to frame, such as "voxels/2".
Size = Annotated[int, pydantic.Field(ge=1, le=1 << 20)] | Annotated[str, pydantic.Field(pattern=r"^[a-z]+(/\d+)?$")]
Name = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9_./-]{1,200}$")]
Role = Annotated[str, pydantic.Field(pattern=r"^[a-z0-9_]{1,40}$")]
Type = Literal["float32", "float16", "int32", "uint8"]
Attribute = bool | int | float | str | dict[str, int] | dict[str, tuple[Size, ...]]

BYTES: dict[str, int] = {"float32": 4, "float16": 2, "int32": 4, "uint8": 1}


class Spec(Settings):
    """Type and shape of a value."""

    dtype: Type
    shape: tuple[Size, ...] = pydantic.Field(max_length=5)

    def bytes(self, counts: Mapping[str, int]) -> int:
        """Size in memory, given the sizes that have names."""
        total = BYTES[self.dtype]
        for size in self.shape:
            total *= counts[size] if isinstance(size, str) else size
        return total

    def __str__(self) -> str:
        return f"{self.dtype} [{', '.join(map(str, self.shape))}]"


class Operation(Settings):
    """One step: values and weights in, values out."""

    name: Name
    op: Role
    #: What it belongs to in the network; stages are what is timed and reported.
    stage: Name
    #: Role -> value, and role -> value that is made.
    inputs: dict[Role, Name]
    outputs: dict[Role, Name]
    #: Role -> tensor of weights.safetensors; for the role "norm", the prefix of a batch norm's tensors.
    weights: dict[Role, Name] = pydantic.Field(default_factory=dict)
    attributes: dict[Role, Attribute] = pydantic.Field(default_factory=dict)
    #: What features are computed and stored in.
    dtype: Literal["float32", "float16"] = "float32"


class Graph(Settings):
    """Everything in graph.json."""

    format: Literal[1] = 1
    inputs: dict[Role, Spec] = pydantic.Field(min_length=1, max_length=16)
    #: Role -> value.
    outputs: dict[Role, Name] = pydantic.Field(min_length=1, max_length=16)
    operations: tuple[Operation, ...] = pydantic.Field(min_length=1, max_length=10_000)


@dataclass(frozen=True)
class CheckedGraph:
    """A graph in which every operation fits its inputs and weights.

    Attributes:
        graph: as written.
        specs: type and shape of every value, by name.
    """

    graph: Graph
    specs: Mapping[str, Spec]

    @property
    def operations(self) -> tuple[Operation, ...]:
        """The operations in order."""
        return self.graph.operations

    def last_uses(self) -> dict[str, int]:
        """The number of the last operation that reads each value; for an output, one past the end."""
        uses = dict.fromkeys(self.specs, -1)
        for number, operation in enumerate(self.operations):
            uses |= dict.fromkeys(operation.inputs.values(), number)
        return uses | {value: len(self.operations) for value in self.graph.outputs.values()}

    def regions(self) -> Iterator[str]:
        """The ONNX files that it runs."""
        for operation in self.operations:
            if operation.op == "dense_region":
                yield str(operation.attributes["file"])


def parse_graph(values: Any, source: str | Path) -> Graph:
    """Validate what was read from a graph.json, as far as it can be without its weights.

    Raises:
        ConfigurationError: one line that names the source and what is wrong.
    """
    graph = parse_settings(Graph, values, source)
    seen: set[str] = set(graph.inputs)
    names: set[str] = set()
    for operation in graph.operations:
        missing = [value for value in operation.inputs.values() if value not in seen]
        if missing:
            raise ConfigurationError(
                f"{source}: '{operation.name}' needs '{missing[0]}', which nothing before it makes"
            )
        twice = [value for value in operation.outputs.values() if value in seen]
        if twice or len(set(operation.outputs.values())) < len(operation.outputs):
            raise ConfigurationError(f"{source}: '{operation.name}' makes '{(twice or ['a value'])[0]}' a second time")
        if operation.name in names:
            raise ConfigurationError(f"{source}: two operations are named '{operation.name}'")
        names.add(operation.name)
        seen |= set(operation.outputs.values())
    lost = [value for value in graph.outputs.values() if value not in seen]
    if lost:
        raise ConfigurationError(f"{source}: the output '{lost[0]}' is made by nothing")
    return graph
