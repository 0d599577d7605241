"""Tables of pillars and groups that belong to others are refused where their shapes would fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from perception.bundle.graph import Graph, parse_graph
from perception.bundle.index_checks import check_indices
from perception.bundle.operations import check_graph
from perception.configuration import ConfigurationError
from perception.export.flatformer import lower_flatformer
from perception.models.flatformer import FlatFormer
from tests.models.test_flatformer import SMALL

NETWORK = FlatFormer(SMALL, 2)
SHAPES = {name: tuple(tensor.shape) for name, tensor in NETWORK.state_dict().items()}


def graph() -> Graph:
    """The network's graph, in which everything is right."""
    return lower_flatformer(NETWORK).graph


def changed(change: Callable[[dict[str, Any]], None]) -> Graph:
    """The graph after a change of its values, with tables of other pillars and groups beside its own."""
    values = graph().model_dump(mode="json")
    operations = values["operations"]
    for op in ("group_tokens", "find_pillars"):
        first = next(one for one in operations if one["op"] == op)
        outputs = {role: f"other_{role}" for role in first["outputs"]}
        sizes = {"rows": "others", "returns": "otherreturns", "bounds": "otherbounds", "slots": "otherslots"}
        attributes = {key: sizes.get(key, value) for key, value in first["attributes"].items()}
        inputs = dict(first["inputs"]) | ({"coords": "other_coords"} if op == "group_tokens" else {})
        other = first | {"name": f"other_{op}", "outputs": outputs, "attributes": attributes, "inputs": inputs}
        operations.insert(0, other)
    change(values)
    return parse_graph(values, "graph.json")


def refusal(changed_graph: Graph) -> str:
    with pytest.raises(ConfigurationError) as caught:
        check_indices(check_graph(changed_graph, SHAPES, "graph.json"), "graph.json")
    return str(caught.value)


def rewire(op: str, **inputs: str) -> Callable[[dict[str, Any]], None]:
    """A change of the inputs of the first operation of a kind."""
    return lambda values: next(one for one in values["operations"] if one["op"] == op)["inputs"].update(inputs)


def point_residual(value: str) -> Callable[[dict[str, Any]], None]:
    """A change of where the residual of a layer's rows comes from."""

    def change(values: dict[str, Any]) -> None:
        layers = (one for one in values["operations"] if "residual_rows" in one["inputs"])
        next(layers)["inputs"]["residual_rows"] = value

    return change


def test_a_sound_graph_passes() -> None:
    check_indices(check_graph(graph(), SHAPES, "graph.json"), "graph.json")
    check_indices(check_graph(changed(lambda values: None), SHAPES, "graph.json"), "graph.json")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (rewire("pillar_features", begins="other_begins"), "its input 'begins' counts rows of otherreturns"),
        (rewire("pillar_features", coords="other_coords"), "its input 'pillar' counts rows of pillars, not of others"),
        (rewire("segment_max", coords="other_coords"), "its input 'begins' is not of the pillars in 'coords'"),
        (point_residual("order"), "its input 'residual_rows' counts rows of points, not of pillars"),
        (rewire("group_attention", flat2win="other_flat2win"), "its input 'flat2win' counts rows of others"),
    ],
)  # fmt: skip
def test_tables_of_other_pillars(change: Callable[[dict[str, Any]], None], expected: str) -> None:
    assert expected in refusal(changed(change))


@pytest.mark.parametrize("attribute", ["rows", "returns", "bounds"])
def test_counts_of_a_frame_are_no_numbers(attribute: str) -> None:
    def change(values: dict[str, Any]) -> None:
        values["operations"][0]["attributes"][attribute] = "100"

    assert "must be names of sizes" in refusal(changed(change))
