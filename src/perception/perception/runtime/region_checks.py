"""Whether dense regions fit the graph that they are part of: both were read from files, and neither knows the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from perception.bundle.graph import CheckedGraph, Operation, Spec
from perception.configuration import ConfigurationError
from perception.runtime.dense.region import DenseRegion, TensorSpec


def check_regions(graph: CheckedGraph, regions: Mapping[str, DenseRegion], folder: Path) -> None:
    """Check that every region takes and gives what the graph says.

    Raises:
        ConfigurationError: one sentence that names the file, and the input or output.
    """
    for operation in graph.operations:
        if operation.op == "dense_region":
            file = str(operation.attributes["file"])
            region = regions[file]
            _check(operation, "input", operation.inputs, region.inputs, graph, folder / file)
            _check(operation, "output", operation.outputs, region.outputs, graph, folder / file)


def _check(
    operation: Operation,
    what: str,
    values: Mapping[str, str],
    found: Mapping[str, TensorSpec],
    graph: CheckedGraph,
    file: Path,
) -> None:
    if values.keys() != found.keys():
        name = min(values.keys() ^ found.keys())
        raise ConfigurationError(
            f"{file}: its {what}s are {sorted(found)}, but '{operation.name}' of the graph "
            f"{'expects' if name in values else 'knows no'} {name!r}; export the bundle again"
        )
    for role, value in values.items():
        spec = graph.specs[value]
        if not _fits(spec, found[role]):
            shape = ", ".join("any" if size is None else str(size) for size in found[role].shape)
            raise ConfigurationError(
                f"{file}: its {what} {role!r} is {found[role].dtype} [{shape}], but '{operation.name}' of the graph "
                f"has {spec} there; export the bundle again"
            )


def _fits(spec: Spec, found: TensorSpec) -> bool:
    """A size that differs from frame to frame must be free in the network; a fixed one may be."""
    if spec.dtype != found.dtype.name or len(spec.shape) != len(found.shape):
        return False
    return all(size is None or size == wanted for wanted, size in zip(spec.shape, found.shape, strict=True))
