"""The attention of FlatFormer's layers as the operations of a bundle's graph, plain and long-short range."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from perception.bundle.detection import FlatFormerSettings
from perception.bundle.graph import Operation
from perception.export.writing import layer, operation


def attention_operations(
    settings: FlatFormerSettings, name: str, walk: int, x: str, made: str, stage: str
) -> Iterator[Operation]:
    """Write down what a layer does before its projection.

    Args:
        settings: of the network.
        name: of the layer's module.
        walk: number of its walk.
        x: the tokens.
        made: what the attention gives, of as many channels as the tokens.
        stage: of the operations.
    """
    if settings.block == "plain":
        yield from _group_attention(settings, name, walk, x, made, stage)
        return
    yield from _group_attention(settings, name, walk, x, f"{name}.far", stage)
    near = {"first_channel": settings.attended_channels, "channels": settings.channels - settings.attended_channels}
    weights = {role: f"{name}.attn.gated.{role}" for role in ("weight", "bias")}
    yield layer(f"{name}.gated", {"features": x}, f"{name}.values_gates", weights, near, stage)
    given = {"gated": f"{name}.values_gates", "order": f"walk_{walk}"}
    convolution = operation("sequence_convolution", f"{name}.convolution", given, f"{name}.near", {}, stage)
    yield convolution.model_copy(update={"weights": {"kernel": f"{name}.attn.kernel"}})
    yield operation("concatenate", f"{name}.halves", {"a": f"{name}.far", "b": f"{name}.near"}, made, {}, stage)


def _group_attention(
    settings: FlatFormerSettings, name: str, walk: int, x: str, made: str, stage: str
) -> Iterator[Operation]:
    channels, value = settings.attended_channels, f"{name}.x"
    used = {} if channels == settings.channels else {"first_channel": 0, "channels": channels}
    table: dict[str, Any] = {
        "length": max(settings.grid_size),
        "temperature": float(settings.position_temperature),
    }
    where = {"features": x, "coords": "coords"}
    yield operation("add_position", f"{name}.position", where, f"{value}0", table | used, stage)
    projection = {"weight": f"{name}.attn.attn.in_proj_weight", "bias": f"{name}.attn.attn.in_proj_bias"}
    both, values = {"outputs": 2 * channels}, {"first_output": 2 * channels, "outputs": channels}
    yield layer(f"{name}.queries_keys", {"features": f"{value}0"}, f"{value}1", projection, both, stage)
    yield layer(f"{name}.values", {"features": x}, f"{value}2", projection, values | used, stage)
    given = {"queries_keys": f"{value}1", "values": f"{value}2", "order": f"walk_{walk}"}
    given |= {role: role for role in ("flat2win", "win2flat")}
    heads = {"heads": settings.heads * channels // settings.channels, "group_size": settings.group_size}
    yield operation("group_attention", f"{name}.attention", given, made, heads, stage)
