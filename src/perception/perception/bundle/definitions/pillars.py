"""Operations on the pillars of a cloud, and on tokens in groups along windows (FlatFormer)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perception.bundle.definitions.arguments import Arguments, Definition, MisfitError, size_of
from perception.bundle.detection import MOST_CELLS
from perception.bundle.graph import Spec

#: Columns that a point gets beside its own: its place in its pillar.
PLACE_CHANNELS = 6
#: Neighbours along a sequence that a convolution reaches, and its channels, at most.
MOST_TAPS, MOST_CONVOLVED = 31, 4096


def _find_pillars(call: Arguments) -> dict[str, Spec]:
    _points(call)
    _check_grid(call)
    pillars, returns, bounds = (call.attribute(name, str) for name in ("rows", "returns", "bounds"))
    return {
        "coords": Spec(dtype="int32", shape=(pillars, 3)),
        "order": Spec(dtype="int32", shape=(returns,)),
        "begins": Spec(dtype="int32", shape=(bounds,)),
        "pillar": Spec(dtype="int32", shape=(returns,)),
    }


def _pillar_features(call: Arguments) -> dict[str, Spec]:
    channels = _points(call)
    _check_grid(call)
    call.spec("coords", "int32", None, 3)
    call.spec("begins", "int32", None)
    returns = call.spec("order", "int32", None).shape[0]
    call.spec("pillar", "int32", returns)
    return {"features": Spec(dtype="float32", shape=(returns, channels + PLACE_CHANNELS))}


def _segment_max(call: Arguments) -> dict[str, Spec]:
    channels = call.spec("features", None, None, None).shape[1]
    call.spec("begins", "int32", None)
    pillars = call.spec("coords", "int32", None, 3).shape[0]
    return {"features": Spec(dtype=call.operation.dtype, shape=(pillars, channels))}


def _window_order(call: Arguments) -> dict[str, Spec]:
    _map_size(call)
    if not 1 <= call.attribute("window", int) <= MOST_CELLS:
        raise MisfitError("its attribute 'window' must be positive")
    if call.attribute("axis", str) not in ("x", "y"):
        raise MisfitError("its attribute 'axis' must be x or y")
    call.attribute("shifted", bool)
    return {"order": Spec(dtype="int32", shape=(call.spec("coords", "int32", None, 3).shape[0],))}


def _group_tokens(call: Arguments) -> dict[str, Spec]:
    tokens = call.spec("coords", "int32", None, 3).shape[0]
    _group_size(call)
    return {
        "flat2win": Spec(dtype="int32", shape=(call.attribute("slots", str),)),
        "win2flat": Spec(dtype="int32", shape=(tokens,)),
    }


def _add_position(call: Arguments) -> dict[str, Spec]:
    tokens, channels = call.spec("features", None, None, None).shape[0], call.used_channels("features")
    call.spec("coords", "int32", tokens, 3)
    if not isinstance(channels, int) or channels % 4:
        raise MisfitError(f"it is for {channels} channels, expected a multiple of 4")
    if not 1 <= call.attribute("length", int) <= MOST_CELLS or call.attribute("temperature", float) <= 1:
        raise MisfitError("its attributes 'length' and 'temperature' are out of range")
    return {"features": Spec(dtype=call.operation.dtype, shape=(tokens, channels))}


def _group_attention(call: Arguments) -> dict[str, Spec]:
    tokens, channels = call.spec("values", None, None, None).shape
    if not isinstance(channels, int):
        raise MisfitError("its input 'values' must have a fixed number of channels")
    call.spec("queries_keys", None, tokens, 2 * channels)
    call.spec("order", "int32", tokens)
    call.spec("win2flat", "int32", tokens)
    call.spec("flat2win", "int32", None)
    _group_size(call)
    heads: int = call.attribute("heads", int)
    if heads < 1 or channels % heads or channels // heads > 32:
        raise MisfitError(f"{channels} channels cannot be shared by {heads} heads of at most 32 channels")
    return {"features": Spec(dtype=call.operation.dtype, shape=(tokens, channels))}


def _sequence_convolution(call: Arguments) -> dict[str, Spec]:
    taps, channels = call.weight("kernel", None, None)
    tokens = call.spec("gated", None, None, 2 * channels).shape[0]
    call.spec("order", "int32", tokens)
    if taps % 2 == 0 or taps > MOST_TAPS or channels > MOST_CONVOLVED:
        raise MisfitError(f"'{call.operation.weights['kernel']}' must have an odd number of rows up to {MOST_TAPS}")
    return {"features": Spec(dtype=call.operation.dtype, shape=(tokens, channels))}


def _pillars_to_map(call: Arguments) -> dict[str, Spec]:
    tokens, channels = call.spec("features", None, None, None).shape
    call.spec("coords", "int32", tokens, 3)
    return {"map": Spec(dtype=call.operation.dtype, shape=(1, channels, *_map_size(call)))}


def _points(call: Arguments) -> int:
    channels: Any = call.spec("points", "float32", None, None).shape[1]
    if not isinstance(channels, int) or channels < 3:
        raise MisfitError(f"its input 'points' has {channels} columns, expected x, y, z first")
    return channels


def _check_grid(call: Arguments) -> None:
    """Raise MisfitError unless the attributes say where pillars are."""
    _map_size(call)
    for name in ("low_x_m", "low_y_m", "low_z_m"):
        call.attribute(name, float)
    if min(call.attribute("edge_m", float), call.attribute("height_m", float)) <= 0:
        raise MisfitError("its attributes 'edge_m' and 'height_m' must be positive")
    for name in ("clamp", "drop_first"):
        call.attribute(name, bool)


def _map_size(call: Arguments) -> tuple[int, int]:
    height, width = call.attribute("height", int), call.attribute("width", int)
    if not (1 <= height <= MOST_CELLS and 1 <= width <= MOST_CELLS):
        raise MisfitError(f"its attributes 'height' and 'width' must be 1 to {MOST_CELLS}")
    return height, width


def _group_size(call: Arguments) -> int:
    size: int = call.attribute("group_size", int)
    if not 1 <= size <= 256:
        raise MisfitError(f"its attribute 'group_size' is {size}, expected 1 to 256")
    return size


def _of_attention(call: Arguments, counts: Mapping[str, int]) -> int:
    """Scores and weighted sums: every slot meets its group twice."""
    slots = size_of(call.inputs["flat2win"].shape[0], counts)
    return 2 * slots * _group_size(call) * size_of(call.inputs["values"].shape[1], counts)


def _of_sequence_convolution(call: Arguments, counts: Mapping[str, int]) -> int:
    taps, channels = call.shapes[call.operation.weights["kernel"]]
    return size_of(call.inputs["gated"].shape[0], counts) * taps * channels


PILLARS: dict[str, Definition] = {
    "find_pillars": Definition(("points",), _find_pillars, is_table=True, new_sizes=("rows", "returns", "bounds")),
    "pillar_features": Definition(("points", "coords", "order", "begins", "pillar"), _pillar_features, is_planned=True),
    "segment_max": Definition(("features", "begins", "coords"), _segment_max, is_planned=True),
    "window_order": Definition(("coords",), _window_order, is_table=True),
    "group_tokens": Definition(("coords",), _group_tokens, is_table=True, new_sizes=("slots",)),
    "add_position": Definition(("features", "coords"), _add_position, is_planned=True),
    "group_attention": Definition(
        ("queries_keys", "values", "order", "flat2win", "win2flat"),
        _group_attention,
        multiplications=_of_attention,
        is_planned=True,
    ),
    "sequence_convolution": Definition(
        ("gated", "order"),
        _sequence_convolution,
        weights=("kernel",),
        multiplications=_of_sequence_convolution,
        is_planned=True,
    ),
    "pillars_to_map": Definition(("features", "coords"), _pillars_to_map, is_planned=True),
}
