"""Reading a bundle that the executor can run: description, graph and weights, all checked before anything uses them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors.numpy import load

from perception.bundle.format import DESCRIPTION_FILE, WEIGHTS_FILE, BundleDescription, load_description
from perception.bundle.graph import GRAPH_FILE, CheckedGraph, parse_graph
from perception.bundle.operations import check_graph
from perception.configuration import ConfigurationError


@dataclass(frozen=True)
class Bundle:
    """A deployable network.

    Attributes:
        folder: where it lies.
        description: its bundle.yaml.
        graph: its operations, which fit its weights.
        tensors: its weights, by name: float32 or float16, batch norms unfolded.
    """

    folder: Path
    description: BundleDescription
    graph: CheckedGraph
    tensors: Mapping[str, NDArray[Any]]


def load_bundle(folder: Path, description: BundleDescription | None = None) -> Bundle:
    """Read a bundle and check that all of it fits together.

    Args:
        folder: the bundle.
        description: its bundle.yaml, where that was read (and the weights checked) before.

    Raises:
        ConfigurationError: one sentence that says which file is missing, damaged or does not fit.
    """
    description = description or load_description(folder)
    if GRAPH_FILE not in description.files:
        raise ConfigurationError(
            f"{folder}: holds weights but no graph; run: perception export {folder} --out {folder}"
        )
    tensors = load((folder / WEIGHTS_FILE).read_bytes())
    graph = parse_graph(json.loads((folder / GRAPH_FILE).read_text()), folder / GRAPH_FILE)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    return Bundle(folder, description, check_graph(graph, shapes, folder / DESCRIPTION_FILE), tensors)
