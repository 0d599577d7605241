"""Detectors up to their dense part, as executors wherever a test wants them."""

from __future__ import annotations

from torch import nn

from perception.bundle.operations import check_graph
from perception.export.lowering import LoweredNetwork
from perception.runtime.executor import GraphExecutor
from perception.runtime.place import Place
from perception.runtime.steps import Setting


def encoder_at(place: Place, network: nn.Module, lowered: LoweredNetwork) -> GraphExecutor:
    """The executor of all but the dense part, which is the last operation."""
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    whole = lowered.graph
    graph = whole.model_copy(update={"operations": whole.operations[:-1], "outputs": {"map": "map"}})
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    return GraphExecutor(check_graph(graph, shapes, "graph.json"), Setting(tensors, place, 1, {}))
