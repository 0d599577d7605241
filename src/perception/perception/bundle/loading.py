"""Reading a bundle that the executor can run: description, graph and weights, all checked before anything uses them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, overload

from numpy.typing import NDArray

from perception.bundle.deployment_checks import check_interface, check_memory
from perception.bundle.files import BundleFiles
from perception.bundle.format import (
    DESCRIPTION_FILE,
    MOST_WEIGHTS_BYTES,
    WEIGHTS_FILE,
    CommonDescription,
    Description,
    read_any_description,
)
from perception.bundle.graph import GRAPH_FILE, CheckedGraph, parse_graph
from perception.bundle.index_checks import check_indices
from perception.bundle.json_text import parse_json
from perception.bundle.operations import check_graph
from perception.bundle.tensor_file import check_weights, parse_tensors
from perception.configuration import ConfigurationError

MOST_GRAPH_BYTES = 16 << 20
#: Of any other file; no ONNX file can be larger.
MOST_FILE_BYTES = 2 << 30


@dataclass(frozen=True)
class Bundle(Generic[Description]):
    """A deployable network of any task.

    Attributes:
        folder: where it lies.
        description: its bundle.yaml.
        graph: its operations, which fit its weights.
        tensors: its weights, by name: float32 or float16, batch norms unfolded; read-only.
        contents: its other files, by name: ONNX regions, the self-check.
    """

    folder: Path
    description: Description
    graph: CheckedGraph
    tensors: Mapping[str, NDArray[Any]]
    contents: Mapping[str, bytes] = field(default_factory=dict)


@overload
def load_bundle(folder: Path, description: None = None) -> Bundle[Any]: ...


@overload
def load_bundle(folder: Path, description: Description) -> Bundle[Description]: ...


def load_bundle(folder: Path, description: CommonDescription | None = None) -> Bundle[Any]:
    """Read a bundle, every file once, and check that all of it fits together.

    Args:
        folder: the bundle.
        description: its bundle.yaml, where that was read before.

    Raises:
        ConfigurationError: one sentence that says which file is missing, damaged or does not fit.
    """
    files = BundleFiles(folder, DESCRIPTION_FILE)
    description = description or read_any_description(files)
    if GRAPH_FILE not in description.files:
        raise ConfigurationError(
            f"{folder}: holds weights but no graph; run: perception export {folder} --out {folder}"
        )
    tensors = _read_weights(files, description)
    graph = _read_graph(files, description, tensors)
    contents = {
        name: files.read(name, MOST_FILE_BYTES, checksum)
        for name, checksum in description.files.items()
        if name not in (GRAPH_FILE, DESCRIPTION_FILE, WEIGHTS_FILE)
    }
    for region in graph.regions():
        if region not in contents:
            raise ConfigurationError(
                f"{folder / DESCRIPTION_FILE}: no checksum of '{region}', which the graph runs; export the bundle again"
            )
    return Bundle(folder, description, graph, tensors, contents)


def _read_weights(files: BundleFiles, description: CommonDescription) -> dict[str, NDArray[Any]]:
    source = files.folder / WEIGHTS_FILE
    tensors = parse_tensors(files.read(WEIGHTS_FILE, MOST_WEIGHTS_BYTES, description.weights_sha256), source)
    check_weights(tensors, source)
    return tensors


def _read_graph(
    files: BundleFiles, description: CommonDescription, tensors: Mapping[str, NDArray[Any]]
) -> CheckedGraph:
    source = files.folder / GRAPH_FILE
    values = parse_json(files.read(GRAPH_FILE, MOST_GRAPH_BYTES, description.files[GRAPH_FILE]), source)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    graph = check_graph(parse_graph(values, source), shapes, source)
    check_indices(graph, source)
    check_interface(graph, description, source)
    check_memory(graph, description, source)
    return graph
