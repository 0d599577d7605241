"""Whether a checked graph is one that a robot can run: it takes what engines give, and fits into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from perception.bundle.detection import HEAD_MAPS
from perception.bundle.format import BundleDescription, CommonDescription, DetectionDescription, PvcnnSettings
from perception.bundle.graph import CheckedGraph, Operation, Spec
from perception.configuration import ConfigurationError

#: The most that the values of a frame may need at once, beside the weights: as much as the largest Jetson has.
MOST_FRAME_BYTES = 64 << 30


class Interface(NamedTuple):
    """What the graph of a network takes and gives.

    Attributes:
        inputs: by role.
        outputs: by role; float16 will do as well.
    """

    inputs: dict[str, Spec]
    outputs: dict[str, Spec]


def check_interface(graph: CheckedGraph, description: CommonDescription, source: object) -> None:
    """Check that a graph takes what engines give it, and gives what they need.

    Raises:
        ConfigurationError: one sentence that names the input or output.
    """
    expected, wanted = interface_of(description)
    found = graph.graph.inputs
    if found != expected:
        role = next(role for role in [*expected, *found] if expected.get(role) != found.get(role))
        raise ConfigurationError(
            f"{source}: the input '{role}' is {found.get(role, 'missing')}, expected {expected.get(role, 'none')}"
        )
    outputs = graph.graph.outputs
    if outputs.keys() != wanted.keys():
        raise ConfigurationError(f"{source}: its outputs are {sorted(outputs)}, expected {sorted(wanted)}")
    for role, spec in wanted.items():
        output = graph.specs[outputs[role]]
        if output.shape != spec.shape or output.dtype not in ("float32", "float16"):
            raise ConfigurationError(f"{source}: the output '{role}' is {output}, expected {spec}")


def interface_of(description: CommonDescription) -> Interface:
    """What the graph of a network takes and gives."""
    classes = len(description.classes)
    if isinstance(description, DetectionDescription):
        network = description.network
        points = Spec(dtype="float32", shape=("points", network.point_channels))
        maps = Spec(dtype="float32", shape=(1, sum(HEAD_MAPS.values()) + classes, *network.grid_size))
        return Interface({"points": points}, {"maps": maps})
    assert isinstance(description, BundleDescription)
    channels = description.network.input_channels
    if isinstance(description.network, PvcnnSettings):
        points = Spec(dtype="float32", shape=("blocks", channels, "points"))
        return Interface({"points": points}, {"scores": Spec(dtype="float32", shape=("blocks", classes, "points"))})
    coords = Spec(dtype="int32", shape=("voxels/1", 4))
    features = Spec(dtype="float32", shape=("voxels/1", channels))
    scores = Spec(dtype="float32", shape=("voxels/1", classes))
    return Interface({"coords": coords, "features": features}, {"scores": scores})


def capacity_of(description: CommonDescription) -> tuple[int, str]:
    """The most that a frame may hold, and of what: voxels or points."""
    if isinstance(description, DetectionDescription):
        return description.capacity_points, "points"
    assert isinstance(description, BundleDescription)
    return description.capacity_voxels, "voxels"


def largest_counts(graph: CheckedGraph, description: CommonDescription) -> dict[str, int]:
    """The sizes that have names, for the largest frame: no level has more voxels than the cloud's capacity."""
    names = {size for spec in graph.specs.values() for size in spec.shape if isinstance(size, str)}
    counts = dict.fromkeys(names, capacity_of(description)[0])
    if isinstance(description.network, PvcnnSettings):
        counts |= {"blocks": 1, "points": description.network.blocks.points}
    return counts


def check_memory(graph: CheckedGraph, description: CommonDescription, source: object) -> None:
    """Check that no moment of the largest frame needs more memory than any robot has.

    Raises:
        ConfigurationError: one sentence that names the operation.
    """
    counts = largest_counts(graph, description)
    most = max(live_bytes(graph, counts), key=lambda moment: moment[1])
    if most[1] > MOST_FRAME_BYTES:
        capacity, of_what = capacity_of(description)
        raise ConfigurationError(
            f"{source}: '{most[0].name}' would need {most[1] >> 30} GiB for {capacity} {of_what}, "
            f"more than the {MOST_FRAME_BYTES >> 30} GiB allowed; lower capacity_{of_what} or take a smaller network"
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


def check_features(description: DetectionDescription) -> None:
    """Raise ConfigurationError unless a detector's features are those that its bundle.yaml asks of a cloud."""
    fields = ["x", "y", "z", "intensity", *description.further_fields] + ["time lag"] * (description.sweeps > 1)
    if len(fields) != description.network.point_channels:
        raise ConfigurationError(
            f"'{description.name}' takes {description.network.point_channels} features of a point, but its bundle.yaml "
            f"names {len(fields)} ({', '.join(fields)}); mend required_fields or sweeps there"
        )
