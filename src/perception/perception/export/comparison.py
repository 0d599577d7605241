"""What a bundle's executor computes beside what PyTorch computes, value by value."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from perception.bundle.format import BundleDescription, PvcnnSettings
from perception.bundle.graph import Operation
from perception.runtime import StageTimer
from perception.runtime.executor import GraphExecutor
from perception.runtime.labellers import BlockLabeller, PointLabeller, VoxelLabeller

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
        scores: of the network's result.
        points: how many were labelled.
        agreeing: how many got the same class from both.
    """

    values: dict[str, Difference]
    makers: Mapping[str, Operation]
    scores: Difference = field(default_factory=Difference)
    points: int = 0
    agreeing: int = 0

    @property
    def agreement(self) -> float:
        """The share of points with the same class."""
        return self.agreeing / self.points if self.points else 1.0

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
    """What gives the values of a network for an input; `TracedNetwork`, or one that remembers its scores."""

    def values(self, *inputs: Any) -> Iterable[tuple[fx.Node, Any]]:
        """The steps with what they give, the scores last."""


class RememberedScores:
    """The scores of a recorded network, computed once for each input."""

    def __init__(self, traced: Recorded) -> None:
        self._traced = traced
        self._scores: dict[str, tuple[fx.Node, Any]] = {}

    def values(self, *inputs: Any) -> Iterable[tuple[fx.Node, Any]]:
        """The scores."""
        key = hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in inputs)).hexdigest()
        if key not in self._scores:
            *_, self._scores[key] = self._traced.values(*inputs)
        yield self._scores[key]


class Comparer:
    """Labels clouds twice, with a graph and with the recorded network that it was made of.

    Args:
        executor: runs the graph.
        traced: the network.
        twins: value of the graph -> step of the record that gives the same.
        description: how a cloud becomes the network's input.
    """

    def __init__(
        self,
        executor: GraphExecutor,
        traced: Recorded,
        twins: Mapping[str, fx.Node],
        description: BundleDescription,
    ) -> None:
        graph = executor.checked.graph
        makers = {value: operation for operation in graph.operations for value in operation.outputs.values()}
        kept = [value for value in makers if value in twins]
        self.result = Comparison({value: Difference() for value in kept}, makers)
        self._executor = executor
        self._traced = traced
        self._values = {twins[value]: value for value in kept}
        self._description = description

    def add(self, cloud: NDArray[np.float32]) -> None:
        """Compare on a cloud, float32 [N, 4]."""
        expected: list[Array] = []

        def score(*arguments: Any) -> Array:
            scores, reference = self._both(arguments[:-1])
            expected.append(reference)
            return scores

        ours, _ = labeller(score, self._description).label(cloud, StageTimer())
        remaining = iter(expected)
        theirs, _ = labeller(lambda *_: next(remaining), self._description).label(cloud, StageTimer())
        self.result.points += len(cloud)
        self.result.agreeing += int((ours == theirs).sum())

    def _both(self, inputs: tuple[Array, ...]) -> tuple[Array, Array]:
        """The scores of both; everything on the way is compared."""
        named = dict(zip(self._executor.checked.graph.inputs, inputs, strict=True))
        found = self._executor.run(named, keep=self.result.values)
        reference = None
        for node, value in self._traced.values(*torch_inputs(inputs)):
            if node in self._values:
                name = self._values[node]
                self.result.values[name].add(found[name], np.asarray(value))
            if node.op == "output":
                reference = np.asarray(value)
        assert reference is not None
        self.result.scores.add(found["scores"], reference)
        return found["scores"], reference


def torch_inputs(inputs: tuple[Array, ...]) -> Iterator[Any]:
    """Inputs of a graph as a record takes them: features as tensors, coordinates as they are."""
    return (torch.from_numpy(array) if array.dtype == np.float32 else array for array in inputs)


def labeller(score: Callable[..., Any], description: BundleDescription) -> PointLabeller:
    """Surround a network's scores with what turns clouds into its input."""
    if isinstance(description.network, PvcnnSettings):
        return BlockLabeller(score, description.network.blocks)
    return VoxelLabeller(score, description.voxel_size_m, description.capacity_voxels)


def torch_labeller(traced: Recorded, description: BundleDescription) -> PointLabeller:
    """Label with a recorded network in PyTorch."""

    def score(*arguments: Any) -> Array:
        *_, (_, scores) = traced.values(*torch_inputs(arguments[:-1]))
        return np.asarray(scores)

    return labeller(score, description)
