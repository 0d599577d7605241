"""The operations of a graph while it is being made: later steps of a record may still become part of earlier ones."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import fx, nn

from perception.bundle.definitions import DEFINITIONS
from perception.bundle.graph import Operation, Spec
from perception.bundle.operations import infer
from perception.export.dense import DenseSteps
from perception.export.names import TABLE_STAGE, arguments, inexpressible, stage_of

LAYERS = ("sparse_convolution", "inverse_convolution", "linear")


@dataclass
class Draft:
    """An operation, as in `perception.bundle.graph.Operation`."""

    op: str
    stage: str
    inputs: dict[str, str]
    outputs: dict[str, str]
    weights: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)

    def operation(self, name: str) -> Operation:
        """The finished operation."""
        stage = TABLE_STAGE if DEFINITIONS[self.op].is_table else self.stage
        return Operation.model_validate({"name": name, **vars(self), "stage": stage})


class Drafts:
    """The operations so far.

    Attributes:
        network: what is exported.
        names: step -> value; of steps with several results, (step, role) -> value.
        operations: name -> operation, in order.
        twins: value -> the step that gives the same in PyTorch.
        specs: value -> type and shape.
        dense: the steps that regions will be made of.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.names: dict[Any, str] = {}
        self.operations: dict[str, Draft] = {}
        self.twins: dict[str, fx.Node] = {}
        self.specs: dict[str, Spec] = {}
        self.dense = DenseSteps(network)
        self._shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}

    def name(self, node: Any, value: str, spec: Spec, twin: fx.Node | None = None) -> None:
        """Say what a step's result is called, and what it is."""
        self.names[node] = value
        self.specs[value] = spec
        if twin is not None:
            self.twins[value] = twin

    def value(self, node: Any, at: fx.Node) -> str:
        """The value that a step gives."""
        if node not in self.names:
            raise inexpressible(at, self.network, "of what it is given")
        return self.names[node]

    def values(self, at: fx.Node, *roles: str) -> dict[str, str]:
        """The first arguments of a step, by role."""
        return {role: self.value(node, at) for role, node in zip(roles, arguments(at), strict=False)}

    def emit(self, node: fx.Node, name: str, draft: Draft) -> None:
        """Add an operation."""
        if name in self.operations:
            raise inexpressible(node, self.network, f"'{name}' is used a second time")
        self.operations[name] = draft
        for role, spec in infer(draft.operation(name), self.specs, self._shapes).items():
            single = len(draft.outputs) == 1
            self.name(node if single else (node, role), draft.outputs[role], spec, node if single else None)
            self.dense.note(node, spec, is_table=DEFINITIONS[draft.op].is_table)

    def layer(self, node: fx.Node, op: str, name: str, inputs: dict[str, str], weights: dict[str, str]) -> None:
        """Add a layer, called after its module."""
        self.emit(node, name, Draft(op, stage_of(name), inputs, {"features": name}, weights))

    def open_layer(self, node: Any, kinds: tuple[str, ...] = LAYERS) -> Draft | None:
        """The operation that made a value, if only one step reads it, so that that step can become part of it."""
        draft = self.operations.get(self.names.get(node, ""))
        return draft if draft and draft.op in kinds and len(node.users) == 1 else None

    def extend(self, node: Any, by: fx.Node) -> None:
        """Let an operation end with a later step, and come where that step is."""
        value = self.names[node]
        self.name(by, value, self.specs[value], by)
        self.operations[value] = self.operations.pop(value)

    def weight(self, node: Any, at: fx.Node) -> str:
        """The name of a weight, of which the first columns may be taken: the executor takes as many as it needs."""
        if isinstance(node, fx.Node) and node.target is operator.getitem and _is_first_columns(arguments(node)[1]):
            node = arguments(node)[0]
        if not isinstance(node, fx.Node) or node.op != "get_attr":
            raise inexpressible(at, self.network, "its weights are computed")
        return str(node.target)

    def stride(self, value: str) -> int:
        """The level that a value's rows are the voxels of."""
        return int(str(self.specs[value].shape[0]).partition("/")[2])


def in_order(operations: Mapping[str, Draft], given: set[str]) -> list[Operation]:
    """Put operations into an order in which they can run, tables first, near to the order given."""
    pending = sorted(operations, key=lambda name: not DEFINITIONS[operations[name].op].is_table)
    known, ordered = set(given), []
    while pending:
        name = next(name for name in pending if known.issuperset(operations[name].inputs.values()))
        pending.remove(name)
        ordered.append(operations[name].operation(name))
        known |= set(operations[name].outputs.values())
    return ordered


def _is_first_columns(key: Any) -> bool:
    return isinstance(key, tuple) and len(key) == 2 and key[0] == slice(None) and key[1] == slice(key[1].stop)
