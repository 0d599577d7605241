"""Recording what a network computes, as a torch.fx graph whose leaves are the operations of our layers.

Sparse networks ask the `Backend` of their frame's tables for everything, so that a backend that only records is all
that is needed; the tables' own caches then share kernel maps between the layers of one stride. The recording holds
the functions that really compute, and can be run (`TracedNetwork.values`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import fx, nn

from perception.models.network import SegmentationNetwork
from perception.nn import convolution, pvconv
from perception.nn.backends import NATIVE, Backend
from perception.nn.blocks import BatchNorm
from perception.nn.tables import FrameTables
from perception.ops import Downsampling

#: Functions of the layers that are one step of a graph, whatever they do inside.
LEAF_FUNCTIONS = (convolution.autocast, pvconv.grid_coordinates, pvconv.voxelize, pvconv.devoxelize)


@dataclass(frozen=True)
class TracedNetwork:
    """A network with the record of what it computes.

    Attributes:
        network: in evaluation mode, not fused: its weights have their published names.
        graph: its steps.
    """

    network: nn.Module
    graph: fx.Graph

    def values(self, *inputs: Any) -> Iterator[tuple[fx.Node, Any]]:
        """Run the recorded steps with PyTorch, one by one; each value is dropped where nothing needs it any more."""
        interpreter = _Interpreter(fx.GraphModule(self.network, self.graph))
        with torch.inference_mode():
            yield from interpreter.steps(inputs)


def trace(network: nn.Module) -> TracedNetwork:
    """Record a network.

    Args:
        network: a `SegmentationNetwork` (inputs coords, features), or one of points [B, C, N].

    Raises:
        torch.fx.proxy.TraceError: what it computes depends on the values of its inputs.
    """
    network.eval()
    graph = _Tracer(network).trace(network)
    _simplify(graph, network)
    return TracedNetwork(network, graph)


class _Tracer(fx.Tracer):
    """Sees our layers through, down to the backend's operations and the modules of PyTorch."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(autowrap_functions=LEAF_FUNCTIONS)
        self._sparse = isinstance(network, SegmentationNetwork)
        self.traced_func_name = "label" if self._sparse else "forward"

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> tuple[Any, list[Any]]:
        """Put the coordinates of a sparse network into tables that record."""
        function, arguments = super().create_args_for_root(root_fn, is_module, concrete_args)
        if self._sparse:
            arguments[1] = FrameTables(arguments[1], _recording_backend(self))
        return function, arguments

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Take the batch norms of sparse tensors for what they are inside, norms of rows."""
        if isinstance(m, BatchNorm):
            return args[0].with_features(super().call_module(m, forward, (args[0].features,), kwargs))
        return super().call_module(m, forward, args, kwargs)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Stop at PyTorch's own layers and at batch norms."""
        return isinstance(m, BatchNorm) or super().is_leaf_module(m, module_qualified_name)


def _recording_backend(tracer: fx.Tracer) -> Backend:
    def step(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        return tracer.create_proxy("call_function", function, arguments, options)

    def downsample(coords: Any) -> Any:
        level = step(NATIVE.downsample, coords)
        return Downsampling(level.coords, level.parent, level.offset)

    def trilinear_table(*arguments: Any) -> Any:
        table = step(NATIVE.trilinear_table, *arguments)
        return table[0], table[1]

    def unchanged(coords: Any) -> Any:
        return coords

    recorded = {name: partial(step, function) for name, function in vars(NATIVE).items()}
    own = {"coordinates": unchanged, "downsample": downsample, "trilinear_table": trilinear_table}
    return Backend(**(recorded | own))


def _simplify(graph: fx.Graph, network: nn.Module) -> None:
    """Leave out what changes nothing in evaluation, and compute equal things once."""
    seen: dict[Any, fx.Node] = {}
    for node in graph.nodes:
        same = None
        if _changes_nothing(node, network):
            same = node.args[0]
        elif node.op == "call_function":
            same = seen.setdefault((node.target, str(node.args), str(node.kwargs)), node)
        if isinstance(same, fx.Node) and same is not node:
            node.replace_all_uses_with(same)
            graph.erase_node(node)


def _changes_nothing(node: fx.Node, network: nn.Module) -> bool:
    if node.op == "call_module":
        return isinstance(network.get_submodule(str(node.target)), nn.Dropout)
    return node.target in (convolution.autocast, "contiguous")


class _Interpreter(fx.Interpreter):
    """Runs a record step by step."""

    def steps(self, inputs: tuple[Any, ...]) -> Iterator[tuple[fx.Node, Any]]:
        """Yield every step with what it gives."""
        self.args_iter = iter(inputs)
        for node in self.graph.nodes:
            value = self.env[node] = self.run_node(node)
            yield node, value
            for finished in self.user_to_last_uses.get(node, []):
                del self.env[finished]

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Give rows to the batch norms of sparse tensors."""
        module = self.fetch_attr(target)
        if isinstance(module, BatchNorm):
            return nn.BatchNorm1d.forward(module, *args)
        return super().call_module(target, args, kwargs)
