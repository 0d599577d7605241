"""Small bundles made by hand: a U-Net on voxels as the exporter would write it, with drawn weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

CLASSES = ("car", "road", "tree")


@dataclass
class GraphBuilder:
    """Collects operations and the weights that they use; methods give the name of the value that they make.

    Attributes:
        dtype: what layers compute in.
        operations: so far, as in graph.json.
        tensors: so far, by name.
    """

    dtype: str = "float32"
    operations: list[dict[str, Any]] = field(default_factory=list)
    tensors: dict[str, NDArray[Any]] = field(default_factory=dict)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def add(self, op: str, name: str, inputs: dict[str, str], outputs: dict[str, str], **more: Any) -> None:
        """Append an operation; `more` are its weights and attributes."""
        stage = name.split(".")[0]
        step = {"name": name, "op": op, "stage": stage, "inputs": inputs, "outputs": outputs, "dtype": self.dtype}
        self.operations.append(step | more)

    def features(self, op: str, name: str, inputs: dict[str, str], **more: Any) -> str:
        """Append an operation that gives features, under its own name."""
        self.add(op, name, inputs, {"features": name}, **more)
        return name

    def layer(self, op: str, name: str, inputs: dict[str, str], shape: tuple[int, ...], **attributes: Any) -> str:
        """Append a layer with a batch norm: its kernel is [volume, in, out] or [in, out], with drawn weights."""
        kernel = self.rng.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))
        self.tensors[f"{name}.kernel"] = kernel.astype(self.dtype)
        for vector, low, high in (
            ("weight", 0.5, 1.5),
            ("bias", -1, 1),
            ("running_mean", -1, 1),
            ("running_var", 0.5, 2),
        ):
            self.tensors[f"{name}.norm.{vector}"] = self.rng.uniform(low, high, shape[-1]).astype(np.float32)
        self.tensors[f"{name}.norm.num_batches_tracked"] = np.array(1)
        weights = {"kernel": f"{name}.kernel", "norm": f"{name}.norm"}
        return self.features(op, name, inputs, weights=weights, attributes={"relu": True, **attributes})

    def maps(self, levels: int) -> None:
        """Make `levels` levels, the tables of neighbours in each and between them."""
        for level in range(levels):
            coords = f"coords{level}" if level else "coords"
            self.add("submanifold_table", f"maps.table{level}", {"coords": coords}, {"table": f"table{level}"})
            if level + 1 < levels:
                parent = {"parent": f"parent{level}", "offset": f"offset{level}"}
                coarse = {"coords": f"coords{level + 1}"}
                rows = {"rows": f"voxels/{2 << level}"}
                self.add("downsample", f"maps.down{level}", {"coords": coords}, coarse | parent, attributes=rows)
                self.add("strided_table", f"maps.children{level}", coarse | parent, {"table": f"children{level}"})


def unet(width: int = 8, dtype: str = "float32") -> GraphBuilder:
    """Two steps down and up with a skip, a residual and a point branch: every operation on voxels. Gives "scores"."""
    net = GraphBuilder(dtype)
    net.maps(3)
    net.add("take_rows", "maps.ancestors", {"values": "parent1", "rows": "parent0"}, {"values": "ancestors"})
    corners = {"rows": "corners", "weights": "corner_weights"}
    net.add("trilinear_table", "maps.corners", {"points": "coords", "coords": "coords2"}, corners,
            attributes={"stride": 4})  # fmt: skip
    features = "features" if dtype == "float32" else net.features("cast", "stem.cast", {"features": "features"})
    stem = net.layer("sparse_convolution", "stem.0", {"features": features, "table": "table0"}, (27, 4, width))
    down = net.layer("sparse_convolution", "down1.0", {"features": stem, "table": "children0"}, (8, width, width))
    middle = net.layer(
        "sparse_convolution", "down1.1", {"features": down, "table": "table1", "residual": down}, (27, width, width)
    )
    coarse = net.layer("sparse_convolution", "down2.0", {"features": middle, "table": "children1"}, (8, width, width))
    fused = _point_branch(net, coarse, stem, corners, width)
    up = {"parent": "parent1", "offset": "offset1"}
    risen = net.layer("inverse_convolution", "up1.0", {"features": fused, **up}, (8, width, width))
    joined = net.features("concatenate", "up1.skip", {"a": risen, "b": middle})
    mixed = net.layer("linear", "up1.1", {"features": joined}, (2 * width, width), norm_epsilon=0.001)
    up = {"parent": "parent0", "offset": "offset0"}
    top = net.layer("inverse_convolution", "up2.0", {"features": mixed, **up}, (8, width, width))
    net.tensors["classifier.weight"] = net.rng.standard_normal((len(CLASSES), width)).astype(dtype)
    net.tensors["classifier.bias"] = np.zeros(len(CLASSES), np.float32)
    weights = {"weight": "classifier.weight", "bias": "classifier.bias"}
    net.add("linear", "classifier", {"features": top}, {"features": "scores"}, weights=weights)
    return net


def _point_branch(net: GraphBuilder, coarse: str, stem: str, corners: dict[str, str], width: int) -> str:
    """Transform points by what is interpolated between voxels, and add their means to the voxels."""
    at_points = net.features("devoxelize", "points.at", {"features": coarse, **corners})
    moved = net.layer("linear", "points.0", {"features": stem, "residual": at_points}, (width, width))
    inputs = {"features": moved, "rows": "ancestors", "coords": "coords2"}
    mean = net.features("scatter_mean", "points.mean", inputs)
    return net.features("add", "points.fuse", {"a": coarse, "b": mean}, attributes={"relu": True})


def graph_of(net: GraphBuilder, scores: str = "scores") -> dict[str, Any]:
    """The graph.json of a network on voxels."""
    inputs = {
        "coords": {"dtype": "int32", "shape": ["voxels/1", 4]},
        "features": {"dtype": "float32", "shape": ["voxels/1", 4]},
    }
    return {"format": 1, "inputs": inputs, "outputs": {"scores": scores}, "operations": net.operations}


def description_of(**changes: Any) -> dict[str, Any]:
    """A bundle.yaml, all but its checksums."""
    return {
        "format": 1,
        "name": "tiny",
        "task": "segmentation",
        "engine": "native",
        "network": {"model": "minkunet", "width": 0.25},
        "classes": list(CLASSES),
        "colors": [[255, 0, 0], [128, 128, 128], [0, 255, 0]],
        "voxel_size_m": 0.2,
        "license": "Apache-2.0",
        "origin": "drawn weights",
    } | changes


def write_files(
    folder: Path,
    graph: Any,
    tensors: Mapping[str, NDArray[Any]] | bytes,
    description: Mapping[str, Any] | None = None,
    others: Mapping[str, bytes] | None = None,
) -> Path:
    """Write a bundle whose checksums are right, whatever is in it.

    Args:
        folder: made if missing.
        graph: the values of graph.json, or its bytes.
        tensors: the weights, or the bytes of their file.
        description: bundle.yaml without checksums.
        others: further files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = tensors if isinstance(tensors, bytes) else save(dict(tensors))
    files = {"graph.json": graph if isinstance(graph, bytes) else json.dumps(graph).encode(), **(others or {})}
    for name, content in {"weights.safetensors": weights, **files}.items():
        (folder / name).write_bytes(content)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    values = {**(description or description_of()), "weights_sha256": hashlib.sha256(weights).hexdigest(), "files": sums}
    (folder / "bundle.yaml").write_text(json.dumps(values))  # YAML too
    return folder


def write_unet(folder: Path, width: int = 8, dtype: str = "float32") -> Path:
    """Write the small U-Net as a bundle."""
    net = unet(width, dtype)
    return write_files(folder, graph_of(net), net.tensors)
