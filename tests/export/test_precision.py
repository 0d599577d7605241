"""Types of operations: casts where they change, and float32 where float16 would cost too much."""

from __future__ import annotations

from collections import Counter

import pytest

from perception.bundle.graph import Graph
from perception.bundle.operations import check_graph
from perception.export.lowering import lower
from perception.export.precision import Limits, Loss, candidates, choose_halves, with_halves
from perception.export.tracing import trace
from tests.export import networks

LIMITS = Limits(error=1e-2, agreement=0.995, values=float("inf"))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return lower(trace(networks.make("spvcnn")), networks.SPARSE).graph


def _checked(graph: Graph) -> dict[str, str]:
    shapes = {name: tuple(tensor.shape) for name, tensor in networks.make("spvcnn").state_dict().items()}
    checked = check_graph(graph, shapes, "graph")
    return {name: spec.dtype for name, spec in checked.specs.items()}


def test_coordinates_in_metres_stay_in_single_precision(graph: Graph) -> None:
    halves = with_halves(graph, candidates(graph))
    types = _checked(halves)
    assert types["stem.0"] == "float32"
    assert Counter(operation.dtype for operation in halves.operations if operation.stage != "maps") == {
        "float16": len(candidates(graph)) + 1,  # and the cast
        "float32": 1,
    }


def test_values_are_cast_once_where_types_change(graph: Graph) -> None:
    chosen = [name for name in candidates(graph) if name.startswith(("stage2", "up"))]
    mixed = with_halves(graph, chosen)
    types, casts = _checked(mixed), [operation for operation in mixed.operations if operation.op == "cast"]
    assert len({(*one.inputs.values(), one.dtype) for one in casts}) == len(casts) > 2
    for cast in casts:
        assert types[cast.inputs["features"]] != cast.dtype
    assert {types[name] for name in chosen} == {"float16"}


def test_without_halves_nothing_changes(graph: Graph) -> None:
    assert with_halves(graph, []) == graph


@pytest.mark.parametrize("costly", [0, 1, 5, 62])
def test_what_costs_most_goes_back(graph: Graph, costly: int) -> None:
    names = candidates(graph)
    costs = {name: 1e-2 / (1 + number) if number < costly else 1e-5 for number, name in enumerate(reversed(names))}

    def loss_of(trial: Graph) -> Loss:
        error = sum(costs[one.name] for one in trial.operations if one.dtype == "float16" and one.op != "cast")
        return Loss(error, 1.0)

    found = choose_halves(graph, loss_of, LIMITS)
    assert LIMITS.allow(loss_of(with_halves(graph, found)))
    ranked = sorted(names, key=lambda name: costs[name])
    assert sorted(found) == sorted(ranked[: len(found)])
    if len(found) < len(names):
        assert not LIMITS.allow(loss_of(with_halves(graph, ranked[: len(found) + 1])))


def test_labels_count_as_well_as_scores(graph: Graph) -> None:
    assert choose_halves(graph, lambda trial: Loss(0.0, 0.9), LIMITS) == []
