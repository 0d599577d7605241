"""Whether a checked graph is one that a robot can run: it takes what engines give, and fits into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from perception.bundle.format import BundleDescription, PvcnnSettings
from perception.bundle.graph import CheckedGraph, Operation, Spec
from perception.configuration import ConfigurationError

#: The most that the values of a frame may need at once, beside the weights: as much as the largest Jetson has.
MOST_FRAME_BYTES = 64 << 30


def check_interface(graph: CheckedGraph, description: BundleDescription, source: object) -> None:
    """Check that a graph takes what engines give it, and gives the scores of every class.

    Raises:
        ConfigurationError: one sentence that names the input or output.
    """
    expected, scores = interface_of(description)
    found = graph.graph.inputs
    if found != expected:
        role = next(role for role in [*expected, *found] if expected.get(role) != found.get(role))
        raise ConfigurationError(
            f"{source}: the input '{role}' is {found.get(role, 'missing')}, expected {expected.get(role, 'none')}"
        )
    output = graph.specs.get(graph.graph.outputs.get("scores", ""))
    if list(graph.graph.outputs) != ["scores"] or output is None:
        raise ConfigurationError(f"{source}: its outputs are {sorted(graph.graph.outputs)}, expected ['scores']")
    if output.shape != scores.shape or output.dtype not in ("float32", "float16"):
        raise ConfigurationError(f"{source}: the output 'scores' is {output}, expected {scores}")


def interface_of(description: BundleDescription) -> tuple[dict[str, Spec], Spec]:
    """What the graph of a network takes, by role, and its scores."""
    channels, classes = description.network.input_channels, len(description.classes)
    if isinstance(description.network, PvcnnSettings):
        points = Spec(dtype="float32", shape=("blocks", channels, "points"))
        return {"points": points}, Spec(dtype="float32", shape=("blocks", classes, "points"))
    coords = Spec(dtype="int32", shape=("voxels/1", 4))
    features = Spec(dtype="float32", shape=("voxels/1", channels))
    return {"coords": coords, "features": features}, Spec(dtype="float32", shape=("voxels/1", classes))


def largest_counts(graph: CheckedGraph, description: BundleDescription) -> dict[str, int]:
    """The sizes that have names, for the largest frame: no level has more voxels than the cloud's capacity."""
    names = {size for spec in graph.specs.values() for size in spec.shape if isinstance(size, str)}
    counts = dict.fromkeys(names, description.capacity_voxels)
    if isinstance(description.network, PvcnnSettings):
        counts |= {"blocks": 1, "points": description.network.blocks.points}
    return counts


def check_memory(graph: CheckedGraph, description: BundleDescription, source: object) -> None:
    """Check that no moment of the largest frame needs more memory than any robot has.

    Raises:
        ConfigurationError: one sentence that names the operation.
    """
    counts = largest_counts(graph, description)
    most = max(live_bytes(graph, counts), key=lambda moment: moment[1])
    if most[1] > MOST_FRAME_BYTES:
        raise ConfigurationError(
            f"{source}: '{most[0].name}' would need {most[1] >> 30} GiB for {description.capacity_voxels} voxels, "
            f"more than the {MOST_FRAME_BYTES >> 30} GiB allowed; lower capacity_voxels or take a smaller network"
        )


def live_bytes(
    graph: CheckedGraph, counts: Mapping[str, int], counted: Callable[[Operation], bool] = lambda _: True
) -> Iterator[tuple[Operation, int]]:
    """Give, for every operation, the size of what is needed while it runs: its inputs, results, and what comes later.

    Args:
        graph: checked.
        counts: the sizes that have names.
        counted: whether what an operation makes counts; the graph's inputs always do.
    """
    uses = graph.last_uses()
    live = sum(spec.bytes(counts) for spec in graph.graph.inputs.values())
    ending: dict[int, int] = {}
    for number, operation in enumerate(graph.operations):
        for value in operation.outputs.values() if counted(operation) else ():
            size = graph.specs[value].bytes(counts)
            live += size
            end = max(uses[value], number)
            ending[end] = ending.get(end, 0) + size
        yield operation, live
        live -= ending.pop(number, 0)
