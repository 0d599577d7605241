"""What a bundle costs on a cloud: voxels of every level, entries of tables, arithmetic of every stage, memory.

Only tables are computed, no features: the figures come from the graph, and take a fraction of a frame's time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.bundle.definitions import DEFINITIONS, pairs_of
from perception.bundle.deployment_checks import live_bytes
from perception.bundle.graph import BYTES, CheckedGraph, Operation
from perception.bundle.loading import Bundle
from perception.bundle.operations import multiplications
from perception.ops import PreparedTable
from perception.ops.memory import most_kept_bytes, rounded
from perception.runtime.executor import GraphExecutor
from perception.runtime.native_detection import surround
from perception.runtime.place import HOST
from perception.runtime.plan import MemoryPlan
from perception.runtime.region_memory import region_bytes
from perception.runtime.steps import Setting
from perception.runtime.timing import StageTimer

#: What a convolution on the CPU needs for each thread besides its arrays (`perception.ops.convolution`).
KERNEL_BYTES_PER_THREAD = 1 << 20
#: What cutting a cloud into blocks needs for each point: squares, their order, rows of blocks; as measured.
CUTTING_BYTES = 128


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes at the worst moment of a frame, above what the process needs without a bundle.

    Attributes:
        weights: as the kernels take them, batch norms folded in.
        regions: what ONNX Runtime takes for dense regions, measured here; on a GPU TensorRT takes another amount.
        tables: coordinates and kernel maps.
        features: the arena of what layers give, and what dense regions exchange.
        kernels: what one layer needs besides while it runs.
        points: the cloud, its voxels and its labels.
    """

    weights: int
    regions: int
    tables: int
    features: int
    kernels: int
    points: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.regions + self.tables + self.features + self.kernels + self.points


@dataclass(frozen=True)
class FrameCosts:
    """What one cloud costs.

    Attributes:
        points: of the cloud.
        runs: the sizes that have names, and the pairs of every table, for each time that the graph runs on the cloud:
            once on voxels, once for every few blocks.
        multiplications: multiply-accumulates of every operation that has any, by its name; all runs together.
        memory: what it takes.
    """

    points: int
    runs: tuple[Mapping[str, int], ...]
    multiplications: Mapping[str, int]
    memory: MemoryEstimate

    def by_stage(self, graph: CheckedGraph) -> dict[str, int]:
        """Multiply-accumulates of every stage, in the order of the stages."""
        return by_stage(graph, self.multiplications)


def measure_costs(bundle: Bundle[Any], points: NDArray[np.float32], threads: int) -> FrameCosts:
    """Work out what a bundle costs on a cloud.

    Args:
        bundle: on the CPU; on a GPU the arithmetic is the same.
        points: float32 [N, columns that the network takes], N at least 1.
        threads: CPU threads that kernels will use.

    Raises:
        ValueError: the points hold NaN or infinite values.
    """
    graph = bundle.graph
    runs = tuple(_graph_runs(bundle, points, threads))
    shapes = {name: tensor.shape for name, tensor in bundle.tensors.items()}
    total: dict[str, int] = {}
    for counts in runs:
        for name, count in multiplications(graph, shapes, counts).items():
            total[name] = total.get(name, 0) + count
    plan = MemoryPlan.of(graph)
    memory = MemoryEstimate(
        weights=sum(_weight_bytes(operation, shapes, BYTES[operation.dtype]) for operation in graph.operations),
        regions=region_bytes(bundle, runs, threads),
        tables=max(_table_bytes(graph, counts) for counts in runs),
        features=max(plan.layout(_sizes(counts)).total for counts in runs) + _unplanned_bytes(graph, runs),
        kernels=max((_weight_bytes(operation, shapes, 4) for operation in graph.operations), default=0)
        + threads * KERNEL_BYTES_PER_THREAD,
        points=_point_bytes(points, runs),
    )
    return FrameCosts(len(points), runs, total, memory)


def by_stage(graph: CheckedGraph, of_operations: Mapping[str, Any]) -> dict[str, Any]:
    """Add up figures of operations, by name, to those of stages, in the order of the stages."""
    stages: dict[str, Any] = {}
    for operation in graph.operations:
        if operation.name in of_operations:
            stages[operation.stage] = stages.get(operation.stage, 0) + of_operations[operation.name]
    return stages


def _graph_runs(bundle: Bundle[Any], points: NDArray[np.float32], threads: int) -> list[dict[str, int]]:
    """The counts of each run of the graph: what surrounds the network runs as always, the network only its tables."""
    tables = _TablesOnly(bundle, threads)
    surround(tables, bundle.description, threads)(points, StageTimer())
    return tables.runs


class _TablesOnly:
    """Stands for the executor: computes tables, notes their sizes, and gives outputs of 0."""

    def __init__(self, bundle: Bundle[Any], threads: int) -> None:
        self.runs: list[dict[str, int]] = []
        self._graph = bundle.graph
        operations = tuple(one for one in bundle.graph.operations if DEFINITIONS[one.op].is_table)
        outputs = {value: value for one in operations for value in one.outputs.values()}
        graph = bundle.graph.graph.model_copy(update={"operations": operations, "outputs": outputs})
        self._executor = GraphExecutor(CheckedGraph(graph, bundle.graph.specs), Setting({}, HOST, threads, {}))

    def run(self, inputs: Mapping[str, Any], timer: StageTimer | None = None) -> dict[str, Any]:
        """See `GraphExecutor.run`."""
        counts: dict[str, int] = {}
        for value, made in (self._executor.run(inputs) | dict(inputs)).items():
            array = made.table if isinstance(made, PreparedTable) else made
            spec = self._graph.specs[value]
            named = {size: found for size, found in zip(spec.shape, array.shape, strict=True) if isinstance(size, str)}
            counts |= named
            if isinstance(made, PreparedTable):
                counts[pairs_of(value)] = int(np.count_nonzero(array >= 0))
        self.runs.append(counts)
        return {role: self._zeros(value, counts) for role, value in self._graph.graph.outputs.items()}

    def _zeros(self, value: str, counts: Mapping[str, int]) -> NDArray[np.float32]:
        shape = self._graph.specs[value].shape
        return np.zeros([counts[size] if isinstance(size, str) else size for size in shape], np.float32)


def _weight_bytes(operation: Operation, shapes: Mapping[str, tuple[int, ...]], element_bytes: int) -> int:
    names = [operation.weights[role] for role in ("kernel", "weight") if role in operation.weights]
    return sum(int(np.prod(shapes[name])) * element_bytes for name in names)


def _table_bytes(graph: CheckedGraph, counts: Mapping[str, int]) -> int:
    """Tables come first: all that later operations need lie beside the features."""
    return rounded(max(size for _, size in live_bytes(graph, counts, lambda one: DEFINITIONS[one.op].is_table)))


def _unplanned_bytes(graph: CheckedGraph, runs: Sequence[Mapping[str, int]]) -> int:
    """What some kernels give has memory of its own, of which some of every size is kept (`perception.ops.memory`)."""

    def is_unplanned(operation: Operation) -> bool:
        definition = DEFINITIONS[operation.op]
        return not (definition.is_planned or definition.is_table or operation.op == "dense_region")

    made = [value for one in graph.operations if is_unplanned(one) for value in one.outputs.values()]
    sizes = {rounded(graph.specs[value].bytes(counts)) for value in made for counts in runs}
    return min(sum(sizes), most_kept_bytes())


def _sizes(counts: Mapping[str, int]) -> dict[str, int]:
    """Without the pairs of tables."""
    return {name: count for name, count in counts.items() if not name.startswith(pairs_of(""))}


def _point_bytes(cloud: NDArray[np.float32], runs: Sequence[Mapping[str, int]]) -> int:
    """What a cloud and what is found of it take, beside what a graph computes."""
    points = len(cloud)
    if "blocks" in runs[0]:
        return points * (16 + 5 + CUTTING_BYTES)
    if "points" in runs[0]:  # the cloud, what of it lies in range, and the comparisons that say which
        return 2 * cloud.nbytes + points * 8
    # x, y, z, intensity and voxel of each point, coordinates and first point of each voxel; a class, a probability.
    return (points + runs[0]["voxels/1"]) * (16 + 4 + 5)
