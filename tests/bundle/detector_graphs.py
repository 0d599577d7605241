"""A small bundle of a detector made by hand: pillars, a layer of group attention, a convolution as its dense region."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper

from perception.runtime import load_engine
from perception.runtime.detection_check import detection_check, detection_check_file
from perception.runtime.self_check import SELF_CHECK_FILE
from perception.types import Frame, PointCloud
from tests.bundle.graphs import CLASSES, GraphBuilder, description_of, write_files
from tests.runtime.dense.networks import save

RANGE_M = [-4.0, -4.0, -2.0, 4.0, 4.0, 2.0]
#: Of a point; of a pillar; of the maps: regression, IoU, heat map.
POINT_CHANNELS, CHANNELS, MAP_CHANNELS = 4, 16, 11 + len(CLASSES)
SIZE, EDGE_M, GROUP_SIZE, HEADS = 16, 0.5, 8, 2
NETWORK = {
    "model": "flatformer",
    "range_m": RANGE_M,
    "pillar_m": EDGE_M,
    "point_channels": POINT_CHANNELS,
    "point_layers": [CHANNELS],
    "channels": CHANNELS,
    "heads": HEADS,
    "window": 4,
    "group_size": GROUP_SIZE,
    "drop_first": False,
}
DECODING = {
    "min_score": 0.05,
    "candidates": 100,
    "peak_window": 3,
    "center_range_m": [-5.0, -5.0, -5.0, 5.0, 5.0, 5.0],
    "suppression": [{"iou": 0.2}] * len(CLASSES),
}
MAP = {"height": SIZE, "width": SIZE}
GRID = MAP | {"low_x_m": -4.0, "low_y_m": -4.0, "low_z_m": -2.0, "edge_m": EDGE_M, "height_m": 4.0}


def detector_description(**changes: Any) -> dict[str, Any]:
    """A bundle.yaml, all but its checksums."""
    values = description_of(task="detection", network=NETWORK, decoding=DECODING)
    del values["voxel_size_m"]
    return values | changes


def write_detector(folder: Path, others: Mapping[str, bytes] | None = None, **changes: Any) -> Path:
    """Write the detector as a bundle, with further files and some changes of its bundle.yaml."""
    net, graph = detector()
    folder.mkdir(parents=True, exist_ok=True)
    files = {"head.onnx": head(folder), **(others or {})}
    return write_files(folder, graph, net.tensors, detector_description(**changes), files)


def write_checked_detector(folder: Path) -> Path:
    """Write the detector with a self-check that it passes."""
    points = np.random.default_rng(0).uniform([-4, -4, -2, 0], [4, 4, 2, 1], (300, 4)).astype(np.float32)
    engine = load_engine(write_detector(folder), threads=1)
    tensors = detection_check(points, engine.forward(Frame(PointCloud(points))).boxes, engine.description)
    engine.close()
    assert tensors is not None
    return write_detector(folder, {SELF_CHECK_FILE: detection_check_file(tensors)})


def detector() -> tuple[GraphBuilder, dict[str, Any]]:
    """Its weights and its graph.json."""
    net = GraphBuilder()
    _tables(net)
    where = {role: role for role in ("points", "coords", "order", "begins", "pillar")}
    grid: dict[str, Any] = {**GRID, "clamp": True, "drop_first": False}
    described = net.features("pillar_features", "pillars.described", where, attributes=grid)
    moved = net.layer("linear", "pillars.0", {"features": described}, (POINT_CHANNELS + 6, CHANNELS))
    reduced = {"features": moved, "begins": "begins", "coords": "coords"}
    first = net.features("segment_max", "pillars.max", reduced)
    tokens = _second_layer(net, moved, first)
    attended = _attention(net, tokens)
    laid = {"features": attended, "coords": "coords"}
    net.add("pillars_to_map", "bev.map", laid, {"map": "bev"}, attributes={**MAP})
    shapes = {"maps": [1, MAP_CHANNELS, SIZE, SIZE]}
    attributes = {"file": "head.onnx", "shapes": shapes, "multiplications": {"": 9 * CHANNELS * MAP_CHANNELS * SIZE**2}}
    net.add("dense_region", "head.region", {"map": "bev"}, {"maps": "maps"}, attributes=attributes)
    inputs = {"points": {"dtype": "float32", "shape": ["points", POINT_CHANNELS]}}
    return net, {"format": 1, "inputs": inputs, "outputs": {"maps": "maps"}, "operations": net.operations}


def _tables(net: GraphBuilder) -> None:
    names = {"rows": "pillars", "returns": "returns", "bounds": "bounds", "clamp": True, "drop_first": False}
    outputs = {role: role for role in ("coords", "order", "begins", "pillar")}
    net.add("find_pillars", "maps.pillars", {"points": "points"}, outputs, attributes={**GRID, **names})
    walk: dict[str, Any] = {**MAP, "window": 4, "axis": "x", "shifted": False}
    net.add("window_order", "maps.walk", {"coords": "coords"}, {"order": "walk"}, attributes=walk)
    groups = {role: role for role in ("flat2win", "win2flat")}
    attributes = {"group_size": GROUP_SIZE, "slots": "slots"}
    net.add("group_tokens", "maps.groups", {"coords": "coords"}, groups, attributes=attributes)


def _attention(net: GraphBuilder, tokens: str) -> str:
    """Group attention with a residual connection and a layer norm."""
    attributes = {"length": SIZE, "temperature": 10000.0}
    given = {"features": tokens, "coords": "coords"}
    placed = net.features("add_position", "block.position", given, attributes=attributes)
    projection = _weights(net, "block.projection", 3 * CHANNELS, CHANNELS)
    outputs: dict[str, Any] = {"outputs": 2 * CHANNELS}
    both = _linear(net, "block.queries_keys", {"features": placed}, projection, **outputs)
    outputs = {"first_output": 2 * CHANNELS, "outputs": CHANNELS}
    values = _linear(net, "block.values", {"features": tokens}, projection, **outputs)
    inputs = {"queries_keys": both, "values": values, "order": "walk", "flat2win": "flat2win", "win2flat": "win2flat"}
    heads = {"heads": HEADS, "group_size": GROUP_SIZE}
    attended = net.features("group_attention", "block.attention", inputs, attributes=heads)
    given = {"features": attended, "residual": tokens}
    mixed = _linear(net, "block.out", given, _weights(net, "block.out", CHANNELS, CHANNELS, norm=True))
    wide = _linear(net, "block.fc1", {"features": mixed}, _weights(net, "block.fc1", 32, CHANNELS), gelu=True)
    given = {"features": wide, "residual": mixed}
    return _linear(net, "block.fc2", given, _weights(net, "block.fc2", CHANNELS, 32, norm=True))


def _second_layer(net: GraphBuilder, moved: str, pillars: str) -> str:
    """A layer on points that sees their pillar too: that half is computed once a pillar, and each point adds it."""
    name = "pillars.1"
    net.layer("linear", name, {"features": moved}, (2 * CHANNELS, CHANNELS))
    net.operations.pop()  # its weights are used in two halves
    net.tensors[f"{name}.weight"] = np.ascontiguousarray(net.tensors.pop(f"{name}.kernel").T)
    weights = {"weight": f"{name}.weight", "norm": f"{name}.norm"}
    shared = _linear(net, f"{name}.pillar", {"features": pillars}, weights, first_column=CHANNELS)
    given = {"features": moved, "residual": shared, "residual_rows": "pillar"}
    seen = _linear(net, f"{name}.point", given, weights, norm_shift=False, relu=True)
    return net.features("segment_max", f"{name}.max", {"features": seen, "begins": "begins", "coords": "coords"})


def _linear(net: GraphBuilder, name: str, inputs: dict[str, str], weights: dict[str, str], **attributes: Any) -> str:
    return net.features("linear", name, inputs, weights=weights, attributes=attributes)


def _weights(net: GraphBuilder, name: str, outputs: int, inputs: int, norm: bool = False) -> dict[str, str]:
    """Drawn weights of a layer, by role, with those of a layer norm after it."""
    weights = {"weight": f"{name}.weight", "bias": f"{name}.bias"}
    net.tensors[weights["weight"]] = (net.rng.standard_normal((outputs, inputs)) / 4).astype(np.float32)
    net.tensors[weights["bias"]] = (net.rng.standard_normal(outputs) / 4).astype(np.float32)
    if norm:
        weights["layer_norm"] = f"{name}.norm"
        net.tensors[f"{name}.norm.weight"] = net.rng.uniform(0.5, 1.5, outputs).astype(np.float32)
        net.tensors[f"{name}.norm.bias"] = (net.rng.standard_normal(outputs) / 4).astype(np.float32)
    return weights


def head(folder: Path) -> bytes:
    """The ONNX file of the dense region, which gives boxes of about 2 m."""
    rng = np.random.default_rng(1)
    weight = rng.normal(0, 0.1, (MAP_CHANNELS, CHANNELS, 3, 3)).astype(np.float32)
    weight[3:6] *= 0.1
    bias = np.zeros(MAP_CHANNELS, np.float32)
    bias[3:6], bias[10] = np.log(2.0), 1.0
    node = helper.make_node("Conv", ["map", "weight", "bias"], ["maps"], pads=[1] * 4)
    given, made = [1, CHANNELS, SIZE, SIZE], [1, MAP_CHANNELS, SIZE, SIZE]
    specs = ([("map", np.float32, given)], [("maps", np.float32, made)])
    return save(folder / "head.onnx", [node], *specs, {"weight": weight, "bias": bias}).read_bytes()
