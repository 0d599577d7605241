"""Small networks of every kind that can be exported, with norms that all do something."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from perception.bundle.architecture import SpvnasArchitecture
from perception.bundle.graph import Spec
from perception.bundle.operations import check_graph
from perception.export.lowering import LoweredNetwork
from perception.models.minkunet import MinkUNet
from perception.models.pvcnn import PVCNN
from perception.models.spvcnn import SPVCNN
from perception.models.spvnas import SPVNAS
from perception.runtime.dense.onnx_runtime import OnnxRuntimeRegion
from perception.runtime.executor import GraphExecutor
from perception.runtime.place import HOST
from perception.runtime.steps import Setting
from tests.nn.frames import frame

CLASSES = 5
SPARSE = {
    "coords": Spec(dtype="int32", shape=("voxels/1", 4)),
    "features": Spec(dtype="float32", shape=("voxels/1", 4)),
}
BLOCKS = {"points": Spec(dtype="float32", shape=("blocks", 7, "points"))}
#: A network of a supernet, whose classifier has more columns than features arrive.
PART = SpvnasArchitecture.uniform(8, (8, 12, 16, 20), (16, 12, 12, 8)).model_copy(update={"classifier": 24})
BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "minkunet": lambda: MinkUNet(CLASSES, 0.125),
    "spvcnn": lambda: SPVCNN(CLASSES, 0.125),
    "spvnas": lambda: SPVNAS(CLASSES, PART),
    "pvcnn": lambda: PVCNN(CLASSES, 7, 0.125, 0.25, "fixed"),
}


def make(kind: str, seed: int = 0) -> nn.Module:
    """A small network whose batch norms all do something."""
    torch.manual_seed(seed)
    network = BUILDERS[kind]().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm3d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network


def specs(kind: str) -> dict[str, Spec]:
    """The inputs of a network of that kind."""
    return BLOCKS if kind == "pvcnn" else SPARSE


def inputs(kind: str, seed: int = 0) -> dict[str, np.ndarray]:
    """A made-up frame."""
    rng = np.random.default_rng(seed)
    if kind == "pvcnn":
        return {"points": rng.uniform(-1, 1, (3, 7, 50)).astype(np.float32)}
    coords = frame(600, 20, 1, seed).numpy()
    return {"coords": coords, "features": rng.uniform(-1, 1, (len(coords), 4)).astype(np.float32)}


def executor(network: nn.Module, lowered: LoweredNetwork, folder: object) -> GraphExecutor:
    """What runs a lowered network without PyTorch."""
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    checked = check_graph(lowered.graph, {name: array.shape for name, array in tensors.items()}, "graph.json")
    regions = {}
    for file, content in lowered.regions.items():
        (folder / file).write_bytes(content)  # type: ignore[operator]
        regions[file] = OnnxRuntimeRegion(folder / file)  # type: ignore[operator]
    return GraphExecutor(checked, Setting(tensors, HOST, 1, regions))


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference as a share of the largest value."""
    assert actual.shape == expected.shape
    return float(np.abs(actual - expected).max() / np.abs(expected).max())
