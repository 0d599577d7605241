"""What a bundle's executor computes beside what PyTorch computes, value by value."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from perception.bundle.deployment_checks import interface_of
from perception.bundle.format import CommonDescription
from perception.bundle.graph import Operation
from perception.export.agreement import agreement
from perception.runtime import StageTimer
from perception.runtime.executor import GraphExecutor
from perception.runtime.native_detection import Use, surround

Array = NDArray[Any]


@dataclass
class Difference:
    """How far two executions are apart in one value, over all clouds.

    Attributes:
        largest: of the values, as PyTorch has it.
        difference: the largest.
    """

    largest: float = 0.0
    difference: float = 0.0

    @property
    def error(self) -> float:
        """The largest difference as a share of the largest value."""
        if self.difference == 0:
            return 0.0
        return self.difference / self.largest if self.largest else float("inf")

    def add(self, actual: Array, expected: Array) -> None:
        """Take notice of a cloud's values; whole numbers must be equal."""
        fits = actual.shape == expected.shape
        if fits and not np.issubdtype(expected.dtype, np.floating):
            fits = np.array_equal(actual, expected)
            actual = expected = np.zeros(1)
        difference = np.abs(actual.astype(np.float64) - expected).max(initial=0.0) if fits else np.inf
        self.difference = max(self.difference, float(np.nan_to_num(difference, nan=np.inf, posinf=np.inf)))
        self.largest = max(self.largest, float(np.abs(expected).max(initial=0.0)))


@dataclass
class Comparison:
    """A bundle's execution beside PyTorch's.

    Attributes:
        values: of each value that both compute, in the order of the graph.
        makers: the operation that makes each of them.
        output: what the network's result is called.
        scores: of that result.
        results: how many points were labelled, or boxes found.
        agreeing: how many of them are the same from both.
    """

    values: dict[str, Difference]
    makers: Mapping[str, Operation]
    output: str = "scores"
    scores: Difference = field(default_factory=Difference)
    results: int = 0
    agreeing: int = 0

    @property
    def agreement(self) -> float:
        """The share of points with the same class, or of boxes that both found."""
        return self.agreeing / self.results if self.results else 1.0

    @property
    def unit(self) -> str:
        """What results are counted in."""
        return "points" if self.output == "scores" else "boxes"

    def stages(self) -> dict[str, tuple[int, str, float]]:
        """Of each stage: how many values were compared, the one that differs most, and its error."""
        stages: dict[str, tuple[int, str, float]] = {}
        for value, difference in self.values.items():
            stage = self.makers[value].stage
            count, worst, error = stages.get(stage, (0, value, -1.0))
            worst, error = max((worst, error), (value, difference.error), key=lambda pair: pair[1])
            stages[stage] = (count + 1, worst, error)
        return stages

    def first_beyond(self, limit: float) -> str | None:
        """The first value that differs by more."""
        return next((value for value, difference in self.values.items() if difference.error > limit), None)


class Recorded(Protocol):
    """What gives the values of a network for an input."""

    def values(self, *inputs: Any) -> Iterable[tuple[Hashable, Any]]:
        """The steps with what they give, the result last."""


class RememberedScores:
    """The result of a recorded network, computed once for each input."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self._results: dict[str, tuple[Hashable, Any]] = {}

    def values(self, *inputs: Any) -> Iterable[tuple[Hashable, Any]]:
        """The result."""
        key = hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in inputs)).hexdigest()
        if key not in self._results:
            *_, self._results[key] = self._recorded.values(*inputs)
        yield self._results[key]


class Comparer:
    """Uses a network on clouds twice, as a graph and as the recorded network that it was made of.

    Args:
        executor: runs the graph.
        recorded: the network.
        twins: value of the graph -> step of the record that gives the same.
        description: how a cloud becomes the network's input.
    """

    def __init__(
        self,
        executor: GraphExecutor,
        recorded: Recorded,
        twins: Mapping[str, Hashable],
        description: CommonDescription,
    ) -> None:
        graph = executor.checked.graph
        makers = {value: operation for operation in graph.operations for value in operation.outputs.values()}
        kept = [value for value in makers if value in twins]
        (self._output,) = graph.outputs
        self.result = Comparison({value: Difference() for value in kept}, makers, self._output)
        self._executor = executor
        self._recorded = recorded
        self._values = {twins[value]: value for value in kept}
        self._description = description

    def add(self, cloud: NDArray[np.float32]) -> None:
        """Compare on a cloud, float32 [N, C]."""
        expected: list[Array] = []

        def compute(inputs: Mapping[str, Array]) -> Array:
            result, reference = self._both(inputs)
            expected.append(reference)
            return result

        ours = use(compute, self._description)(cloud, StageTimer())
        remaining = iter(expected)
        theirs = use(lambda _: next(remaining), self._description)(cloud, StageTimer())
        agreeing, results = agreement(ours, theirs)
        self.result.results += results
        self.result.agreeing += agreeing

    def _both(self, inputs: Mapping[str, Array]) -> tuple[Array, Array]:
        """The results of both; everything on the way is compared."""
        found = self._executor.run(dict(inputs), keep=self.result.values)
        reference: Any = None
        for step, reference in self._recorded.values(*torch_inputs(inputs)):
            if step in self._values:
                name = self._values[step]
                self.result.values[name].add(found[name], np.asarray(reference))
        self.result.scores.add(found[self._output], np.asarray(reference))
        return found[self._output], np.asarray(reference)


@dataclass(frozen=True)
class _Runner:
    """Stands for a graph: see `perception.runtime.native.GraphRunner`."""

    compute: Callable[[Mapping[str, Array]], Array]
    output: str

    def run(self, inputs: Mapping[str, Array], timer: StageTimer | None = None) -> dict[str, Array]:
        """The result."""
        return {self.output: self.compute(inputs)}


def use(compute: Callable[[Mapping[str, Array]], Array], description: CommonDescription) -> Use:
    """Surround what gives a network's result for its inputs with what a robot does to clouds and results."""
    (output,) = interface_of(description).outputs
    return surround(_Runner(compute, output), description)


def torch_use(recorded: Recorded, description: CommonDescription) -> Use:
    """Use a recorded network in PyTorch as a robot uses its bundle."""

    def compute(inputs: Mapping[str, Array]) -> Array:
        *_, (_, result) = recorded.values(*torch_inputs(inputs))
        return np.asarray(result)

    return use(compute, description)


def torch_inputs(inputs: Mapping[str, Array]) -> Iterator[Any]:
    """Inputs of a graph as a record takes them: features as tensors, coordinates as they are."""
    return (torch.from_numpy(array) if array.dtype == np.float32 else array for array in inputs.values())
