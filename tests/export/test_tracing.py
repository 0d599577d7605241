"""A record computes what the network computes, and holds every table once."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from perception.export.tracing import trace
from perception.nn.backends import NATIVE
from tests.export import networks


@pytest.mark.parametrize("kind", networks.BUILDERS)
def test_the_record_gives_what_the_network_gives(kind: str) -> None:
    network = networks.make(kind)
    inputs = list(networks.inputs(kind).values())
    traced = trace(network)
    *_, (last, scores) = traced.values(*(torch.from_numpy(x) if x.dtype == "f4" else x for x in inputs))
    with torch.inference_mode():
        expected = network(*(torch.from_numpy(x) for x in inputs))
    assert last.op == "output"
    torch.testing.assert_close(scores, expected, rtol=0, atol=0)


@pytest.mark.parametrize(("kind", "corners"), [("minkunet", 0), ("spvcnn", 2), ("spvnas", 2)])
def test_layers_of_a_level_share_their_tables(kind: str, corners: int) -> None:
    counts = Counter(node.target for node in trace(networks.make(kind)).graph.nodes)
    assert counts[NATIVE.submanifold_table] == 5
    assert counts[NATIVE.downsample] == counts[NATIVE.strided_table] == 4
    assert counts[NATIVE.trilinear_table] == corners


def test_the_grids_of_one_resolution_share_their_coordinates() -> None:
    names = Counter(node.name for node in trace(networks.make("pvcnn")).graph.nodes if "grid" in node.name)
    assert len(names) == 2


def test_the_network_stays_as_it_was() -> None:
    network = networks.make("spvcnn")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    trace(network)
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
