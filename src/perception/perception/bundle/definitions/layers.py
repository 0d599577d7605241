"""Operations on rows of features: convolutions, linear layers, and what lies between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from perception.bundle.definitions.arguments import Arguments, Definition, MisfitError, pairs_of, size_of
from perception.bundle.graph import Spec

#: A kernel of a sparse convolution is [K, in, out] in its table's order, or [kx, ky, kz, in, out] as spconv has it.
SPCONV_RANK = 5


def _sparse_convolution(call: Arguments) -> dict[str, Spec]:
    channels = call.spec("features", None, None, None).shape[1]
    rows, volume = call.spec("table", "int32", None, None).shape
    name = call.operation.weights["kernel"]
    found = call.shapes.get(name, ())
    if len(found) != SPCONV_RANK:
        return call.finish(rows, call.weight("kernel", volume, channels, None)[2])
    outputs = call.weight("kernel", None, None, None, channels, None)[-1]
    if math.prod(found[:3]) != volume:
        raise MisfitError(f"'{name}' has the shape {list(found)}, expected one for tables of {volume} columns")
    return call.finish(rows, outputs)


def _inverse_convolution(call: Arguments) -> dict[str, Spec]:
    channels = call.spec("features", None, None, None).shape[1]
    rows = call.spec("parent", "int32", None).shape[0]
    call.spec("offset", "uint8", rows)
    return call.finish(rows, call.weight("kernel", 8, channels, None)[2])


def _linear(call: Arguments) -> dict[str, Spec]:
    rows, channels = call.spec("features", None, None, None).shape[0], call.used_channels("features")
    if "kernel" in call.operation.weights:
        return call.finish(rows, call.weight("kernel", channels, None)[1])
    held, columns = call.weight("weight", None, None)
    first, outputs = call.attribute("first_column", int, 0), call.attribute("outputs", int, held)
    if not isinstance(channels, int) or not 0 <= first <= columns - channels:
        raise MisfitError(f"'{call.operation.weights['weight']}' has {columns} columns for {channels} channels")
    if not 0 <= call.attribute("first_output", int, 0) <= held - outputs or outputs < 1:
        raise MisfitError(f"'{call.operation.weights['weight']}' has {held} rows, which do not hold its outputs")
    _check_linear(call, outputs)
    return call.finish(rows, outputs, held)


def _check_linear(call: Arguments, outputs: int) -> None:
    """What only linear layers may have: GELU, layer norm, a batch norm without its shift."""
    if call.attribute("gelu", bool, False) and call.attribute("relu", bool, False):
        raise MisfitError("it can have either ReLU or GELU")
    call.attribute("norm_shift", bool, True)
    if "residual_rows" in call.inputs and "residual" not in call.inputs:
        raise MisfitError("its input 'residual_rows' needs a residual")
    if "layer_norm" in call.operation.weights:
        for vector in ("weight", "bias"):
            name = f"{call.operation.weights['layer_norm']}.{vector}"
            if call.shapes.get(name) != (outputs,):
                raise MisfitError(f"'{name}' is no tensor of shape [{outputs}] of the weights")
        if not 0 < call.attribute("layer_norm_epsilon", float, 1e-5) < 1:
            raise MisfitError("its attribute 'layer_norm_epsilon' must lie between 0 and 1")


def _concatenate(call: Arguments) -> dict[str, Spec]:
    rows = call.spec("a", None, None, None).shape[0]
    widths = [call.spec(role, None, rows, None).shape[1] for role in ("a", "b")]
    channels = [width for width in widths if isinstance(width, int)]
    if len(channels) < len(widths):
        raise MisfitError("its inputs must have a fixed number of channels")
    return {"features": Spec(dtype=call.operation.dtype, shape=(rows, sum(channels)))}


def _add(call: Arguments) -> dict[str, Spec]:
    shape = call.spec("a", None, None, None).shape
    call.spec("b", None, *shape)
    call.attribute("relu", bool, False)
    return {"features": Spec(dtype=call.operation.dtype, shape=shape)}


def _cast(call: Arguments) -> dict[str, Spec]:
    spec = call.inputs["features"]
    if spec.dtype not in ("float32", "float16"):
        raise MisfitError(f"its input 'features' is {spec}, expected float32 or float16")
    return {"features": Spec(dtype=call.operation.dtype, shape=spec.shape)}


def _devoxelize(call: Arguments) -> dict[str, Spec]:
    channels = call.spec("features", None, None, None).shape[1]
    points = call.spec("rows", "int32", None, 8).shape[0]
    call.spec("weights", "float32", points, 8)
    return {"features": Spec(dtype=call.operation.dtype, shape=(points, channels))}


def _scatter_mean(call: Arguments) -> dict[str, Spec]:
    points, channels = call.spec("features", None, None, None).shape
    call.spec("rows", "int32", points)
    rows = call.spec("coords", "int32", None, 4).shape[0]
    return {"features": Spec(dtype=call.operation.dtype, shape=(rows, channels))}


def _of_convolution(call: Arguments, counts: Mapping[str, int]) -> int:
    *_, inputs, outputs = call.shapes[call.operation.weights["kernel"]]
    return counts[pairs_of(call.operation.inputs["table"])] * inputs * outputs


def _of_inverse_convolution(call: Arguments, counts: Mapping[str, int]) -> int:
    _, inputs, outputs = call.shapes[call.operation.weights["kernel"]]
    return size_of(call.inputs["parent"].shape[0], counts) * inputs * outputs


def _of_linear(call: Arguments, counts: Mapping[str, int]) -> int:
    rows, channels = call.inputs["features"].shape[0], call.used_channels("features")
    weights = call.operation.weights
    outputs = call.shapes[weights["kernel"]][1] if "kernel" in weights else call.shapes[weights["weight"]][0]
    outputs = call.attribute("outputs", int, outputs)
    return size_of(rows, counts) * size_of(channels, counts) * outputs


def _layer(
    inputs: tuple[str, ...],
    weight: str,
    infer_layer: Callable[[Arguments], dict[str, Spec]],
    cost: Callable[[Arguments, Mapping[str, int]], int],
) -> Definition:
    """A layer with what may follow it in one call."""
    return Definition(inputs, infer_layer, ("residual",), (weight,), ("bias", "norm"), cost, is_planned=True)


LAYERS: dict[str, Definition] = {
    "sparse_convolution": _layer(("features", "table"), "kernel", _sparse_convolution, _of_convolution),
    "inverse_convolution": _layer(
        ("features", "parent", "offset"), "kernel", _inverse_convolution, _of_inverse_convolution
    ),
    "linear": Definition(
        ("features",),
        _linear,
        ("residual", "residual_rows"),
        ("kernel|weight",),
        ("bias", "norm", "layer_norm"),
        _of_linear,
        is_planned=True,
    ),
    "concatenate": Definition(("a", "b"), _concatenate, is_planned=True),
    "add": Definition(("a", "b"), _add, is_planned=True),
    "cast": Definition(("features",), _cast, is_planned=True),
    "devoxelize": Definition(("features", "rows", "weights"), _devoxelize, is_planned=True),
    "scatter_mean": Definition(("features", "rows", "coords"), _scatter_mean, is_planned=True),
}
