"""Bundles of detectors that do not fit together are refused in one sentence."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from perception.bundle.loading import load_bundle
from perception.configuration import ConfigurationError
from perception.runtime import load_engine
from tests.bundle.detector_graphs import DECODING, NETWORK, detector, detector_description, head, write_detector
from tests.bundle.graphs import write_files
from tests.bundle.refusals import refusal


def write_changed(folder: Path, graph: dict[str, Any]) -> Path:
    """Write the detector with another graph."""
    folder.mkdir()
    net, _ = detector()
    return write_files(folder, graph, net.tensors, detector_description(), {"head.onnx": head(folder)})


def test_a_sound_one_is_read(tmp_path: Path) -> None:
    bundle = load_bundle(write_detector(tmp_path))
    assert bundle.description.task == "detection"
    assert list(bundle.graph.graph.outputs) == ["maps"]


def test_an_attribute_that_is_left_out_is_missed_or_not_needed(tmp_path: Path) -> None:
    """Whichever it is: a graph that is taken also runs."""
    _, graph = detector()
    left_out = [(number, name) for number, one in enumerate(graph["operations"]) for name in one.get("attributes", {})]
    refused = 0
    for case, (number, name) in enumerate(left_out):
        changed = copy.deepcopy(graph)
        del changed["operations"][number]["attributes"][name]
        folder = write_changed(tmp_path / str(case), changed)
        try:
            engine = load_engine(folder)
        except ConfigurationError:
            refused += 1
        else:
            engine.warm_up()
            engine.close()
    assert refused > len(left_out) / 2


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ({"point_channels": 5}, "graph.json: the input 'points' is float32 [points, 4], expected float32 [points, 5]"),
        ({"pillar_m": 1.0}, "graph.json: the output 'maps' is float32 [1, 14, 16, 16], expected float32 [1, 14, 8, 8]"),
        ({"pillar_m": 1e-9}, "bundle.yaml: network: range_m must span 1 to 4096 cells, found 8e+09 x 8e+09"),
        ({"pillar_m": 1e9}, "bundle.yaml: network: range_m must span 1 to 4096 cells"),
        ({"range_m": [4, -4, -2, -4, 4, 2]}, "bundle.yaml: network: range_m must have lowest x, y, z, then"),
        ({"range_m": [-4, -4, -2, 4, 4, float("inf")]}, "bundle.yaml: network.range_m.5: "),
        ({"point_channels": 1 << 40}, "bundle.yaml: network.point_channels: "),
    ],
)
def test_a_network_of_another_shape(tmp_path: Path, network: dict[str, Any], expected: str) -> None:
    assert refusal(write_detector(tmp_path, network=NETWORK | network)).startswith(expected)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"suppression": [{"iou": 0.2}] * 2}, "2 rules of suppression for 3 classes"),
        ({"suppression": [{"iou": float("nan")}] * 3}, "decoding.suppression.0.iou"),
        ({"candidates": 10**9}, "decoding.candidates"),
        ({"min_score": 2}, "decoding.min_score"),
        ({"center_range_m": [float("nan")] * 6}, "decoding.center_range_m.0"),
    ],
)
def test_decoding_that_cannot_be(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    found = refusal(write_detector(tmp_path, decoding=DECODING | changes))
    assert found.startswith("bundle.yaml: ")
    assert expected in found


def test_more_classes_than_heat_maps(tmp_path: Path) -> None:
    changes = {"classes": ["a", "b", "c", "d"], "colors": [[1, 2, 3]] * 4}
    decoding = DECODING | {"suppression": [{"iou": 0.2}] * 4}
    found = refusal(write_detector(tmp_path, decoding=decoding, **changes))
    assert found == ("graph.json: the output 'maps' is float32 [1, 14, 16, 16], expected float32 [1, 15, 16, 16]")


def test_a_graph_that_gives_something_else(tmp_path: Path) -> None:
    _, graph = detector()
    other = copy.deepcopy(graph) | {"outputs": {"scores": "maps"}}
    expected = "graph.json: its outputs are ['scores'], expected ['maps']"
    assert refusal(write_changed(tmp_path / "scores", other)) == expected
    other = copy.deepcopy(graph) | {"outputs": {"maps": "bev"}}
    expected = "graph.json: the output 'maps' is float32 [1, 16, 16, 16], expected float32 [1, 14, 16, 16]"
    assert refusal(write_changed(tmp_path / "bev", other)) == expected
