"""Steps of a record on batches [B, C, ...]: the layers that dense regions are made of, as ONNX knows them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from perception.bundle.graph import Spec
from perception.configuration import ConfigurationError
from perception.export.dense_layers import (
    DenseStep,
    Shape,
    convolution,
    linear,
    transposed_convolution,
    weights_of,
    with_norm,
)
from perception.export.names import arguments, inexpressible, scope_of

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class DenseSteps:
    """The dense steps so far.

    Attributes:
        steps: by the step of the record that they end with, in order.
        levels: how many kernels lie on the longest way to each batch; what can run at once is of one level.
    """

    def __init__(self, network: nn.Module) -> None:
        self.steps: dict[fx.Node, DenseStep] = {}
        self.levels: dict[fx.Node, int] = {}
        self._network = network
        self._shapes: dict[fx.Node, Shape] = {}
        self._sizes: dict[fx.Node, Any] = {}
        self._folded: dict[fx.Node, fx.Node] = {}
        self._names: set[str] = set()

    def note(self, node: fx.Node, spec: Spec, is_table: bool) -> None:
        """Take notice of a batch that an input is, or that a kernel makes."""
        if str(spec.shape[0]).startswith("voxels"):
            return
        self._shapes[node] = spec.shape
        before = [self.levels.get(source, 0) for source in node.all_input_nodes]
        self.levels[node] = max(before, default=0) + (0 if is_table else 1)

    def shape(self, node: fx.Node) -> Shape:
        """The sizes of a batch."""
        return self._shapes[node]

    def readers(self, node: fx.Node) -> list[fx.Node]:
        """The steps that read a batch, not only its sizes."""
        return [self._folded.get(reader, reader) for reader in node.users if reader not in self._sizes]

    def takes(self, node: fx.Node) -> bool:
        """Whether a step works on batches."""
        return any(source in self._shapes for source in node.all_input_nodes)

    def measures(self, node: fx.Node) -> bool:
        """Whether a step asks for a size; if so, remember it."""
        source, key = arguments(node)
        if node.target is getattr and key == "shape" and source in self._shapes:
            self._sizes[node] = self._shapes[source]
        elif node.target is operator.getitem and source in self._sizes:
            self._sizes[node] = self._sizes[source][key]
        return node in self._sizes

    def add(self, node: fx.Node) -> tuple[str, Spec]:
        """Add a step.

        Returns:
            what to call its result, and what that is.

        Raises:
            ConfigurationError: a region cannot hold such a step.
        """
        try:
            step = self._module(node) if node.op == "call_module" else self._function(node)
        except ConfigurationError:
            raise
        except (TypeError, ValueError, KeyError) as error:  # arguments of another form than a region can hold
            raise inexpressible(node, self._network, str(error)) from None
        self.steps[node] = step
        self._shapes[node] = step.shape
        self.levels[node] = max(self.levels.get(source, 0) for source in node.all_input_nodes)
        return self._name(node), Spec(dtype="float32", shape=step.shape)

    def _name(self, node: fx.Node) -> str:
        """A module's path, or what a function does and where."""
        own = node.target if isinstance(node.target, str) else node.target.__name__
        parts = [own] if node.op == "call_module" else [scope_of(node), own]
        name = ".".join(filter(None, parts))
        while name in self._names:
            name += "_"
        self._names.add(name)
        return name

    def _module(self, node: fx.Node) -> DenseStep:
        module, source = self._network.get_submodule(str(node.target)), arguments(node)[0]
        assert isinstance(source, fx.Node)
        shape = self._shapes[source]
        if isinstance(module, CONVOLUTIONS):
            return convolution(node, source, module, shape)
        if isinstance(module, nn.ConvTranspose2d):
            return transposed_convolution(node, source, module, shape)
        if isinstance(module, nn.Linear) and len(shape) == 2:
            return linear(node, source, module, shape)
        if isinstance(module, NORMS):
            return self._fold(node, source, module)
        if isinstance(module, nn.ReLU):
            return DenseStep(node, "Relu", (source,), shape)
        if isinstance(module, nn.LeakyReLU):
            return DenseStep(node, "LeakyRelu", (source,), shape, {"alpha": module.negative_slope})
        raise inexpressible(node, self._network)

    def _fold(self, node: fx.Node, source: fx.Node, norm: Any) -> DenseStep:
        """Put a batch norm into the layer before it."""
        step = self.steps.get(source)
        if step is None or step.layer is None or len(source.users) > 1:
            raise inexpressible(node, self._network, "where no convolution or linear layer is right before it")
        del self.steps[source]
        self._folded[source] = node
        layer = with_norm(step.layer, norm)
        return replace(step, node=node, layer=layer, weights=weights_of(layer))

    def _function(self, node: fx.Node) -> DenseStep:
        build = FUNCTIONS.get(node.target)
        step = build(self, node) if build else None
        if step is None:
            raise inexpressible(node, self._network)
        return step

    def _sum(self, node: fx.Node) -> DenseStep | None:
        first, second = arguments(node)
        if self._shapes.get(first) != self._shapes.get(second):
            return None
        return DenseStep(node, "Add", (first, second), self._shapes[first])

    def _largest(self, node: fx.Node) -> DenseStep | None:
        source, axis = (*arguments(node), node.kwargs.get("dim"))[:2]
        shape = self._shapes[source]
        if not isinstance(axis, int) or len(node.args) > 2 or set(node.kwargs) - {"dim"}:
            return None
        left = shape[:axis] + shape[axis + 1 :]
        return DenseStep(node, "ReduceMax", (source,), left, {"axes": [axis], "keepdims": 0})

    def _concatenation(self, node: fx.Node) -> DenseStep | None:
        parts: Any = arguments(node)[0]
        axis = (*arguments(node), node.kwargs.get("dim", 0))[1]
        shapes = [self._shapes[part] for part in parts]
        widths = [shape[axis] for shape in shapes]
        if not all(isinstance(width, int) for width in widths):
            return None
        shape = (*shapes[0][:axis], sum(widths), *shapes[0][axis + 1 :])
        return DenseStep(node, "Concat", tuple(parts), shape, {"axis": axis})

    def _unsqueezed(self, node: fx.Node) -> DenseStep:
        source, axis = arguments(node)
        shape = self._shapes[source]
        longer = (*shape[:axis], 1, *shape[axis:])
        return DenseStep(node, "Unsqueeze", (source,), longer, {}, (np.array([axis], np.int64),))

    def _expanded(self, node: fx.Node) -> DenseStep:
        source, *sizes = arguments(node)
        shape = self._shapes[source]
        wanted = [self._sizes.get(size, size) for size in sizes]
        full = tuple(old if new == -1 else new for old, new in zip(shape, wanted, strict=True))
        return DenseStep(node, "Expand", (source,), full)


#: What functions of PyTorch become.
FUNCTIONS: dict[Any, Callable[[DenseSteps, fx.Node], DenseStep | None]] = {
    operator.add: DenseSteps._sum,
    torch.cat: DenseSteps._concatenation,
    "amax": DenseSteps._largest,
    "unsqueeze": DenseSteps._unsqueezed,
    "expand": DenseSteps._expanded,
}
