"""Checking a graph by working out every shape, and counting the arithmetic that a frame costs."""

from __future__ import annotations

from collections.abc import Mapping

from perception.bundle.definitions import DEFINITIONS, Arguments, MisfitError, Shapes
from perception.bundle.graph import CheckedGraph, Graph, Operation, Spec
from perception.configuration import ConfigurationError


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
    for attribute in definition.new_sizes:
        size = str(operation.attributes[attribute])
        if size in known:
            raise MisfitError(f"its attribute '{attribute}' is '{size}', which another operation uses")
        known.add(size)
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
