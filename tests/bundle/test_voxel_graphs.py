"""Graphs on voxels that do not fit together, or must not run, are refused in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from perception.bundle.graph import parse_graph
from perception.bundle.index_checks import check_indices
from perception.bundle.operations import check_graph
from perception.configuration import ConfigurationError
from perception.export.centerpoint import lower_centerpoint
from tests.models.test_centerpoint import drawn_network

NETWORK = drawn_network()
SHAPES = {name: tuple(tensor.shape) for name, tensor in NETWORK.state_dict().items()}
KERNEL, DOWN = "middle_encoder.conv_input.0", "middle_encoder.encoder_layers.encoder_layer1.1.0"


def refusal(values: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        check_indices(check_graph(parse_graph(values, "graph.json"), shapes, "graph.json"), "graph.json")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("voxels", {"attributes": {"rows": "1000"}}, "its attribute 'rows' is 1000, expected the name of a size"),
        ("voxels", {"attributes": {"edge_x_m": 0.0}}, "no grid along x"),
        ("voxels", {"attributes": {"edge_y_m": -0.1}}, "no grid along y"),
        ("voxels", {"attributes": {"high_z_m": -9.0}}, "no grid along z"),
        ("voxels", {"attributes": {"edge_z_m": 1e-9}}, "no grid along z"),
        ("voxels", {"attributes": {"low_x_m": float("nan")}}, "no grid along x"),
        ("voxels", {"attributes": {"low_x_m": -1e30, "high_x_m": 1e30, "edge_x_m": 1e29}}, "no grid along x"),
        ("voxels", {"attributes": {"most_voxels": 0}}, "must be 1 to 10000000"),
        ("voxels", {"attributes": {"most_voxels": 1 << 70}}, "must be 1 to 10000000"),
        ("voxels", {"attributes": {"voxel_points": 2.0}}, "expected int"),
        ("windows_0", {"attributes": {"rows": "1000"}}, "its attribute 'rows' is 1000, expected the name of a size"),
        ("windows_0", {"attributes": {"rows": "voxels/1"}}, "which another operation uses"),
        ("windows_0", {"attributes": {"size": {"x": 8, "y": 3, "z": 3}}}, "expected 1 to 7 for each of x, y, z"),
        ("windows_0", {"attributes": {"size": {"x": 3, "y": 3}}}, "expected 1 to 7 for each of x, y, z"),
        ("windows_0", {"attributes": {"stride": {"x": 0, "y": 1, "z": 1}}}, "expected 1 to 64"),
        ("windows_0", {"attributes": {"padding": {"x": -1, "y": 1, "z": 1}}}, "expected 0 to 64"),
        ("windows_0", {"attributes": {"shape": {"x": 0, "y": 1, "z": 1}}}, "expected 1 to 65503"),
        ("windows_0", {"attributes": {"shape": {"x": 9, "y": 9, "z": 1}}}, "leave nothing of the grid"),
        ("windows_0", {"attributes": {"size": {"x": 1, "y": 3, "z": 3}}}, "expected one for tables of 9 columns"),
        ("bev", {"attributes": {"shape": {"x": 16, "y": 12, "z": 9000}}}, "expected 1 to 4096"),
        ("bev", {"inputs": {"coords": "coords_1"}}, "its input 'coords' is"),
        (DOWN, {"inputs": {"table": "neighbours_1"}}, "counts rows of voxels/2, not of voxels/1"),
        (KERNEL, {"inputs": {"table": "windows_1"}}, "expected one for tables of 3 columns"),
    ],
)
def test_what_is_refused(name: str, change: dict[str, dict[str, Any]], expected: str) -> None:
    values = lower_centerpoint(NETWORK).graph.model_dump()
    step = next(one for one in values["operations"] if one["name"] == name)
    for key, new in change.items():
        step[key] = step[key] | new
    message = refusal(values, SHAPES)
    assert expected in message


@pytest.mark.parametrize("shape", [(3, 3, 3, 5, 4), (3, 3, 3, 4, 4, 1), (3, 3, 1, 4, 4), (27, 5, 4), (27, 4)])
def test_kernels_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    values = lower_centerpoint(NETWORK).graph.model_dump()
    assert f"'{KERNEL}.weight' has the shape" in refusal(values, SHAPES | {f"{KERNEL}.weight": shape})
