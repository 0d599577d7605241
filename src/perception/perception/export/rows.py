"""Steps of a record on features [N, C], and what becomes part of the layer before it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import fx, nn

from perception.export.drafts import LAYERS, Draft, Drafts
from perception.export.names import arguments, inexpressible, scope_of, stage_of

#: What the executor takes for granted where a graph says nothing.
NORM_EPSILON = 1e-5


def add_sparse_convolution(drafts: Drafts, node: fx.Node) -> None:
    """A convolution of size 3, or of size 2 a level down."""
    inputs, weights = drafts.values(node, "features", "table"), {"kernel": drafts.weight(arguments(node)[2], node)}
    drafts.layer(node, "sparse_convolution", scope_of(node), inputs, weights)


def add_inverse_convolution(drafts: Drafts, node: fx.Node) -> None:
    """A convolution of size 2 a level up."""
    inputs = drafts.values(node, "features", "parent", "offset")
    weights = {"kernel": drafts.weight(arguments(node)[3], node)}
    drafts.layer(node, "inverse_convolution", scope_of(node), inputs, weights)


def add_matrix_product(drafts: Drafts, node: fx.Node) -> None:
    """A convolution of size 1."""
    weights = {"kernel": drafts.weight(arguments(node)[1], node)}
    drafts.layer(node, "linear", scope_of(node), drafts.values(node, "features"), weights)


def add_linear(drafts: Drafts, node: fx.Node) -> None:
    """torch.nn.functional.linear."""
    weights = {"weight": drafts.weight(arguments(node)[1], node)}
    if len(arguments(node)) > 2 and arguments(node)[2] is not None:
        weights["bias"] = drafts.weight(arguments(node)[2], node)
    drafts.layer(node, "linear", scope_of(node), drafts.values(node, "features"), weights)


def add_sum(drafts: Drafts, node: fx.Node) -> None:
    """A sum; part of the layer that makes one side of it, where that ends with its norm."""
    for main, other in (arguments(node)[:2], arguments(node)[1::-1]):
        layer = drafts.open_layer(main)
        if layer and main is not other and "residual" not in layer.inputs and "relu" not in layer.attributes:
            layer.inputs["residual"] = drafts.value(other, node)
            drafts.extend(main, node)
            return
    inputs = drafts.values(node, "a", "b")
    _emit_between(drafts, node, "add", inputs, stage_of(scope_of(node)), drafts.stride(inputs["a"]))


def add_concatenation(drafts: Drafts, node: fx.Node) -> None:
    """Columns beside each other; it belongs to the stage that makes the first ones."""
    parts, dimension = arguments(node)[0], (*arguments(node), node.kwargs.get("dim", 0))[1]
    if not isinstance(parts, list | tuple) or len(parts) != 2 or dimension != 1:
        raise inexpressible(node, drafts.network, "other than the columns of two values")
    inputs = {role: drafts.value(part, node) for role, part in zip("ab", parts, strict=True)}
    maker = drafts.operations.get(inputs["a"])
    stage = maker.stage if maker else stage_of(scope_of(node))
    _emit_between(drafts, node, "concatenate", inputs, stage, drafts.stride(inputs["a"]))


def add_devoxelize(drafts: Drafts, node: fx.Node) -> None:
    """Voxels read at the points."""
    inputs = drafts.values(node, "features", "rows", "weights")
    stride = drafts.stride(inputs["features"])
    _emit_between(drafts, node, "devoxelize", inputs, stage_of(scope_of(node)), stride)


def add_scatter_mean(drafts: Drafts, node: fx.Node) -> None:
    """The mean of the points in each voxel."""
    inputs = drafts.values(node, "features", "rows", "coords")
    _emit_between(drafts, node, "scatter_mean", inputs, stage_of(scope_of(node)), drafts.stride(inputs["coords"]))


def add_module(drafts: Drafts, node: fx.Node) -> None:
    """A layer of PyTorch, or a ReLU."""
    path = str(node.target)
    module = drafts.network.get_submodule(path) if node.op == "call_module" else None
    if isinstance(module, nn.Linear):
        weights = {"weight": f"{path}.weight"} | ({} if module.bias is None else {"bias": f"{path}.bias"})
        drafts.layer(node, "linear", path, drafts.values(node, "features"), weights)
    elif isinstance(module, nn.BatchNorm1d):
        _add_norm(drafts, node, module)
    elif isinstance(module, nn.ReLU) or node.target in ("relu", torch.relu, F.relu):
        _add_relu(drafts, node)
    else:
        raise inexpressible(node, drafts.network)


def _add_norm(drafts: Drafts, node: fx.Node, norm: nn.BatchNorm1d) -> None:
    layer = drafts.open_layer(arguments(node)[0])
    if not layer or "norm" in layer.weights or "residual" in layer.inputs or "relu" in layer.attributes:
        raise inexpressible(node, drafts.network, "where no convolution or linear layer is right before it")
    layer.weights["norm"] = str(node.target)
    if norm.eps != NORM_EPSILON:
        layer.attributes["norm_epsilon"] = norm.eps
    drafts.extend(arguments(node)[0], node)


def _add_relu(drafts: Drafts, node: fx.Node) -> None:
    operation = drafts.open_layer(arguments(node)[0], (*LAYERS, "add"))
    if not operation or "relu" in operation.attributes:
        raise inexpressible(node, drafts.network, "where no layer or sum is right before it")
    operation.attributes["relu"] = True
    drafts.extend(arguments(node)[0], node)


def _emit_between(drafts: Drafts, node: fx.Node, op: str, inputs: dict[str, str], stage: str, level: int) -> None:
    """Add an operation that is no module's: its name says what it does, and to which level."""
    name, again = f"{stage}.{op}/{level}", 1
    while name in drafts.operations:
        again += 1
        name = f"{stage}.{op}{again}/{level}"
    drafts.emit(node, name, Draft(op, stage, inputs, {"features": name}))
