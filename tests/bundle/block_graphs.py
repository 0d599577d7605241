"""A small bundle of a network on blocks: dense regions in ONNX, and voxels of a grid between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper

from tests.bundle.graphs import CLASSES, GraphBuilder, description_of, write_files
from tests.runtime.dense.networks import save

CHANNELS, RESOLUTION = 8, 4
POINTS: list[Any] = ["blocks", CHANNELS, "points"]
VOLUME: list[Any] = ["blocks", CHANNELS, RESOLUTION, RESOLUTION, RESOLUTION]
SCORES: list[Any] = ["blocks", len(CLASSES), "points"]
BLOCKS = {"size_m": 8.0, "margin_m": 1.0, "height_m": [-3.5, 5.0], "points": 512}


def write_block_network(folder: Path) -> Path:
    """Write a point-voxel network: a layer on points, beside it one on the voxels around them, and a classifier."""
    net = GraphBuilder()
    grid: dict[str, Any] = {"resolution": RESOLUTION, "placement": "fixed"}
    net.add("grid_coordinates", "maps.grid", {"points": "points"}, {"coordinates": "cells"}, attributes=grid)
    _region(net, "points", {"points": "points"}, {"moved": POINTS}, {"blocks*points": 7 * CHANNELS})
    inputs, cells = {"features": "moved", "coordinates": "cells"}, {"resolution": RESOLUTION}
    net.add("dense_voxelize", "stage1.voxelize", inputs, {"volume": "volume"}, attributes=cells)
    _region(net, "volume", {"volume": "volume"}, {"mixed": VOLUME}, {"blocks": 27 * CHANNELS**2 * RESOLUTION**3})
    inputs = {"volume": "mixed", "coordinates": "cells"}
    net.add("dense_devoxelize", "stage1.devoxelize", inputs, {"features": "back"})
    _region(net, "classifier", {"a": "moved", "b": "back"}, {"scores": SCORES}, {"blocks*points": 3 * CHANNELS})
    inputs = {"points": {"dtype": "float32", "shape": ["blocks", 7, "points"]}}
    graph = {"format": 1, "inputs": inputs, "outputs": {"scores": "scores"}, "operations": net.operations}
    network = {"model": "pvcnn", "width": 0.25, "blocks": BLOCKS}
    folder.mkdir(parents=True, exist_ok=True)
    return write_files(folder, graph, {}, description_of(network=network), _networks(folder))


def _region(
    net: GraphBuilder, name: str, inputs: dict[str, str], shapes: dict[str, list[Any]], factors: dict[str, int]
) -> None:
    attributes = {"file": f"{name}.onnx", "shapes": shapes, "multiplications": factors}
    net.add("dense_region", f"{name}.region", inputs, {role: role for role in shapes}, attributes=attributes)


def _networks(folder: Path) -> dict[str, bytes]:
    """The ONNX files."""
    rng = np.random.default_rng(1)
    weights = {
        "points": rng.standard_normal((CHANNELS, 7, 1)),
        "volume": rng.standard_normal((CHANNELS, CHANNELS, 3, 3, 3)) / 15,
        "classifier": rng.standard_normal((len(CLASSES), CHANNELS, 1)),
    }
    given = {"points": [("points", ["blocks", 7, "points"])], "volume": [("volume", VOLUME)]}
    given["classifier"] = [("a", POINTS), ("b", POINTS)]
    made = {"points": ("moved", POINTS), "volume": ("mixed", VOLUME), "classifier": ("scores", SCORES)}
    files = {}
    for name, weight in weights.items():
        nodes, source = [], given[name][0][0]
        if name == "classifier":
            nodes, source = [helper.make_node("Add", ["a", "b"], ["sum"])], "sum"
        pads = [weight.shape[-1] // 2] * 2 * (weight.ndim - 2)
        nodes.append(helper.make_node("Conv", [source, "weight"], [made[name][0]], pads=pads))
        inputs = [(value, np.float32, shape) for value, shape in given[name]]
        outputs = [(made[name][0], np.float32, made[name][1])]
        file = save(folder / f"{name}.onnx", nodes, inputs, outputs, {"weight": weight.astype(np.float32)})
        files[file.name] = file.read_bytes()
    return files
