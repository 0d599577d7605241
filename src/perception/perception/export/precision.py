"""Choosing what each operation computes in: float16 is half the memory traffic, and tensor cores on GPUs.

Kernels sum in float32 whatever they store. What loses most is moved back to float32 until the network is as close to
PyTorch as is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from perception.bundle.graph import Graph, Operation

Precision = Literal["float32", "float16", "auto"]

#: What computes features of rows; roles of inputs that hold such features.
FEATURE_ROLES: dict[str, tuple[str, ...]] = {
    "sparse_convolution": ("features", "residual"),
    "inverse_convolution": ("features", "residual"),
    "linear": ("features", "residual"),
    "add": ("a", "b"),
    "concatenate": ("a", "b"),
    "devoxelize": ("features",),
    "scatter_mean": ("features",),
}


@dataclass(frozen=True)
class Loss:
    """What an execution loses against PyTorch in float32.

    Attributes:
        error: the largest difference of scores, as a share of the largest score.
        agreement: the share of points with the same class.
    """

    error: float
    agreement: float


@dataclass(frozen=True)
class Limits:
    """What an execution may lose.

    Attributes:
        error: of scores.
        agreement: of points.
        values: the error of any value on the way.
    """

    error: float
    agreement: float
    values: float

    def allow(self, loss: Loss) -> bool:
        """Whether a loss is small enough."""
        return loss.error <= self.error and loss.agreement >= self.agreement


FLOAT32_LIMITS = Limits(error=1e-4, agreement=0.999, values=1e-4)
FLOAT16_LIMITS = Limits(error=1e-2, agreement=0.995, values=float("inf"))


def candidates(graph: Graph) -> list[str]:
    """The operations that can compute in float16: not those that take coordinates in metres, too coarse in it."""
    return [
        operation.name
        for operation in graph.operations
        if operation.op in FEATURE_ROLES and not set(graph.inputs) & set(_feature_inputs(operation).values())
    ]


def with_halves(graph: Graph, halves: Collection[str]) -> Graph:
    """Let the named operations compute in float16, with casts where values go between the two types."""
    writer = _Writer(graph, frozenset(halves))
    for operation in graph.operations:
        writer.add(operation)
    return graph.model_copy(update={"operations": tuple(writer.operations)})


def choose_halves(
    graph: Graph,
    loss_of: Callable[[Graph], Loss],
    limits: Limits,
    quick_loss_of: Callable[[Graph], Loss] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Find the operations that can compute in float16, as many as the limits allow.

    Each operation's own loss is measured by itself; then the fewest of those that lose most go back to float32.

    Args:
        graph: in float32.
        loss_of: measures a graph.
        limits: what the result may lose.
        quick_loss_of: measures what single operations cost, on less data.
        progress: told what is being done.
    """
    names = candidates(graph)
    if not names or limits.allow(loss_of(with_halves(graph, names))):
        return names
    own: dict[str, float] = {}
    for number, name in enumerate(names):
        progress(f"measuring what float16 costs, operation {number + 1} of {len(names)}")
        own[name] = (quick_loss_of or loss_of)(with_halves(graph, [name])).error
    ranked = sorted(names, key=lambda name: own[name])
    fits, too_many = 0, len(ranked)
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        progress(f"trying {middle} of {len(ranked)} operations in float16")
        if limits.allow(loss_of(with_halves(graph, ranked[:middle]))):
            fits = middle
        else:
            too_many = middle
    return [name for name in names if name in set(ranked[:fits])]


class _Writer:
    """The operations so far."""

    def __init__(self, graph: Graph, halves: frozenset[str]) -> None:
        self.operations: list[Operation] = []
        self._halves = halves
        self._types: dict[str, str] = dict.fromkeys(graph.inputs, "float32")

    def add(self, operation: Operation) -> None:
        """Add an operation in its type, after the casts that it needs."""
        dtype: Literal["float32", "float16"] = "float16" if operation.name in self._halves else "float32"
        roles = _feature_inputs(operation)
        cast = {role: self._cast(value, dtype, operation.stage) for role, value in roles.items()}
        self.operations.append(operation.model_copy(update={"dtype": dtype, "inputs": {**operation.inputs, **cast}}))
        self._types |= dict.fromkeys(operation.outputs.values(), dtype)

    def _cast(self, value: str, dtype: Literal["float32", "float16"], stage: str) -> str:
        if self._types[value] == dtype:
            return value
        name = f"{value}.{dtype}"
        if name not in self._types:
            values: Mapping[str, str] = {"features": value}
            made = {"features": name}
            cast = Operation(name=name, op="cast", stage=stage, inputs=dict(values), outputs=made, dtype=dtype)
            self.operations.append(cast)
            self._types[name] = dtype
        return name


def _feature_inputs(operation: Operation) -> dict[str, str]:
    roles: Iterable[str] = FEATURE_ROLES.get(operation.op, ())
    return {role: operation.inputs[role] for role in roles if role in operation.inputs}
