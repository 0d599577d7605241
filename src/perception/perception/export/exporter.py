"""From a PyTorch network to a bundle that runs without PyTorch, compared with it before anything is written."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from perception.bundle.format import DESCRIPTIONS, BundleDescription, CommonDescription
from perception.bundle.graph import GRAPH_FILE, Graph
from perception.bundle.operations import check_graph
from perception.bundle.writer import halved, write_described
from perception.configuration import ConfigurationError, parse_settings
from perception.data.clouds import with_columns
from perception.export.comparison import Comparer, Comparison, RememberedScores
from perception.export.precision import (
    FLOAT16_LIMITS,
    FLOAT32_LIMITS,
    Loss,
    Precision,
    candidates,
    choose_halves,
    with_halves,
)
from perception.export.prepared import Prepared, prepare
from perception.export.self_check import made_up_street, self_check
from perception.export.verification import verify
from perception.runtime.executor import GraphExecutor
from perception.runtime.native import NATIVE
from perception.runtime.place import HOST
from perception.runtime.self_check import SELF_CHECK_FILE
from perception.runtime.steps import Setting

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Source:
    """What becomes a bundle.

    Attributes:
        network: with its weights under their published names; it is not changed.
        values: the keys of bundle.yaml, all but the engine and checksums.
        half: store weights in half precision.
        kept: further files that the bundle is to hold.
    """

    network: nn.Module
    values: Mapping[str, Any]
    half: bool = False
    kept: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Exported:
    """A bundle that was written.

    Attributes:
        description: its bundle.yaml.
        graph: its operations.
        comparison: with PyTorch.
    """

    description: CommonDescription
    graph: Graph
    comparison: Comparison


def export_network(
    source: Source,
    folder: Path,
    clouds: Sequence[NDArray[np.float32]] = (),
    precision: Precision = "float32",
    progress: Callable[[str], None] = lambda _: None,
) -> Exported:
    """Write a bundle: trace, lower, choose types, write, execute, compare; it takes its place only if it agrees.

    Args:
        source: the network.
        folder: of the bundle; one that is there is replaced.
        clouds: float32 [N, C], x, y, z in metres, intensity, and what else the network takes, else 0, to compare on; by
            default a small made-up street.
        precision: what layers compute in; "auto" takes float16 wherever that costs little enough. Networks with dense
            regions stay in float32: the type of a region is chosen where its engine is built.
        progress: told what is being done.

    Raises:
        ConfigurationError: the executor cannot express the network, or does not agree with PyTorch.
    """
    progress("tracing the network")
    tensors = {name: tensor.detach().cpu().numpy() for name, tensor in source.network.state_dict().items()}
    tensors = halved(tensors) if source.half else tensors
    _check_finite(tensors, folder)
    values = {**source.values, "engine": NATIVE}
    kind = DESCRIPTIONS.get(values.get("task"), BundleDescription)
    draft = parse_settings(kind, {**values, "weights_sha256": "0" * 64, "files": {}}, folder)
    prepared = prepare(_with_weights(source.network, tensors), draft)
    lowered, recorded = prepared.lowered, prepared.recorded
    columns = draft.point_columns
    clouds = [with_columns(cloud, columns) for cloud in clouds] or [made_up_street(columns)]
    with np.errstate(over="ignore"):  # what overflows in float16 is seen in the scores
        graph = _with_precision(precision, prepared, tensors, draft, clouds, progress)
    half = any(operation.dtype == "float16" for operation in graph.operations)
    files = {**source.kept, GRAPH_FILE: graph_json(graph), **lowered.regions}
    if checked := self_check(recorded, draft, clouds):
        files[SELF_CHECK_FILE] = checked
    comparisons: list[Comparison] = []

    def check(written: Path) -> None:
        limits = FLOAT16_LIMITS if half else FLOAT32_LIMITS
        try:
            with np.errstate(over="ignore"):
                comparisons.append(verify(written, recorded, lowered.twins, clouds, limits, progress))
        except ConfigurationError as error:  # its folder is not the one that the user knows
            raise ConfigurationError(str(error).replace(str(written), str(folder))) from None

    description = write_described(kind, folder, values, tensors, files=files, check=check)
    return Exported(description, graph, comparisons[0])


def graph_json(graph: Graph) -> bytes:
    """A graph as the bytes of its file, one operation a line."""
    values = graph.model_dump(mode="json", exclude_defaults=True)
    operations = ",\n  ".join(json.dumps(operation) for operation in values.pop("operations"))
    head = json.dumps({"format": graph.format, **values})[:-1]
    return f'{head}, "operations": [\n  {operations}\n]}}\n'.encode()


def _check_finite(tensors: Tensors, folder: Path) -> None:
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise ConfigurationError(
                f"{folder}: not written, the weight '{name}' is NaN or infinite somewhere; did the training diverge?"
            )


def _with_weights(network: nn.Module, tensors: Tensors) -> nn.Module:
    """A copy with the weights that the bundle will hold, which may have been rounded."""
    network = copy.deepcopy(network).cpu()
    weights = {name: torch.from_numpy(np.array(tensor)) for name, tensor in tensors.items()}
    network.load_state_dict({**network.state_dict(), **weights})
    return network


def _with_precision(
    precision: Precision,
    prepared: Prepared,
    tensors: Tensors,
    description: CommonDescription,
    clouds: Sequence[NDArray[np.float32]],
    progress: Callable[[str], None],
) -> Graph:
    """Choose types; what has dense regions stays as it is: a region's type is chosen where its engine is built."""
    graph = prepared.lowered.graph
    if precision == "float32" or prepared.lowered.regions:
        return graph
    if precision == "float16":
        return with_halves(graph, candidates(graph))
    reference = RememberedScores(prepared.recorded)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}

    def loss_of(trial: Graph, clouds: Sequence[NDArray[np.float32]] = clouds) -> Loss:
        executor = GraphExecutor(check_graph(trial, shapes, GRAPH_FILE), Setting(tensors, HOST, None, {}))
        comparer = Comparer(executor, reference, {}, description)
        for cloud in clouds:
            comparer.add(cloud)
        executor.close()
        return Loss(comparer.result.scores.error, comparer.result.agreement)

    def quick_loss_of(trial: Graph) -> Loss:
        return loss_of(trial, clouds[:1])

    return with_halves(graph, choose_halves(graph, loss_of, FLOAT16_LIMITS, quick_loss_of, progress))
