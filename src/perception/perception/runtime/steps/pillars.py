"""Steps on the pillars of a cloud, and on tokens in groups along windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from perception import ops
from perception.bundle.graph import Operation, Spec
from perception.runtime.steps.setting import Builder, Run, Setting, Values, columns, used_channels


def _grid(operation: Operation) -> ops.PillarGrid:
    a: dict[str, Any] = dict(operation.attributes)
    low, size = (a["low_x_m"], a["low_y_m"], a["low_z_m"]), (a["edge_m"], a["edge_m"], a["height_m"])
    return ops.PillarGrid(low, size, a["height"], a["width"], a["clamp"], a["drop_first"])


def _find_pillars(operation: Operation, _: Mapping[str, Spec], setting: Setting) -> Run:
    grid = _grid(operation)

    def run(values: Values, _: Values) -> dict[str, Any]:
        found = ops.find_pillars(values["points"], grid, threads=setting.threads)._asdict()
        del found["counts"]
        return found

    return run


def _pillar_features(operation: Operation, _: Mapping[str, Spec], setting: Setting) -> Run:
    grid = _grid(operation)

    def run(values: Values, out: Values) -> dict[str, Any]:
        coords = values["coords"]
        found = ops.Pillars(coords, (len(coords),), values["order"], values["begins"], values["pillar"])
        options = {"threads": setting.threads, "out": out["features"]}
        return {"features": ops.pillar_features(values["points"], grid, found, **options)}

    return run


def _segment_max(_: Operation, __: Mapping[str, Spec], setting: Setting) -> Run:
    def run(values: Values, out: Values) -> dict[str, Any]:
        options = {"threads": setting.threads, "out": out["features"]}
        return {"features": ops.segment_reduce(values["features"], values["begins"], "max", **options)}

    return run


def _window_order(operation: Operation, _: Mapping[str, Spec], setting: Setting) -> Run:
    a: dict[str, Any] = dict(operation.attributes)
    size, window = (a["height"], a["width"]), (a["window"], a["window"])
    walk = ops.WindowWalk(1, size, window, a["axis"], a["shifted"])

    def run(values: Values, _: Values) -> dict[str, Any]:
        return {"order": ops.window_order(values["coords"], walk, threads=setting.threads)}

    return run


def _group_tokens(operation: Operation, _: Mapping[str, Spec], setting: Setting) -> Run:
    size: Any = operation.attributes["group_size"]

    def run(values: Values, _: Values) -> dict[str, Any]:
        coords = values["coords"]
        groups = ops.group_tokens([len(coords)], size, coords, threads=setting.threads)
        return {"flat2win": groups.flat2win, "win2flat": groups.win2flat}

    return run


def _add_position(operation: Operation, inputs: Mapping[str, Spec], setting: Setting) -> Run:
    a: dict[str, Any] = dict(operation.attributes)
    held: Any = inputs["features"].shape[1]
    used = used_channels(operation, held)
    table = setting.place.upload(ops.sine_table(a["length"], len(used) // 2, a["temperature"]))

    def run(values: Values, out: Values) -> dict[str, Any]:
        features, options = columns(values["features"], used), {"threads": setting.threads, "out": out["features"]}
        return {"features": ops.add_position(features, values["coords"], table, **options)}

    return run


def _group_attention(operation: Operation, inputs: Mapping[str, Spec], setting: Setting) -> Run:
    heads: Any = operation.attributes["heads"]
    size: Any = operation.attributes["group_size"]
    channels: Any = inputs["values"].shape[1]

    def run(values: Values, out: Values) -> dict[str, Any]:
        both = values["queries_keys"]
        groups = ops.TokenGroups(values["flat2win"], values["win2flat"], size)
        qkv = (both[:, :channels], both[:, channels:], values["values"])
        options = {"threads": setting.threads, "out": out["features"]}
        return {"features": ops.group_attention(*qkv, heads, groups, values["order"], **options)}

    return run


def _sequence_convolution(operation: Operation, _: Mapping[str, Spec], setting: Setting) -> Run:
    kernel = setting.place.upload(setting.tensors[operation.weights["kernel"]].astype(np.float32))

    def run(values: Values, out: Values) -> dict[str, Any]:
        given = (values["gated"], values["order"], [len(values["gated"])], kernel)
        return {"features": ops.sequence_convolution(*given, threads=setting.threads, out=out["features"])}

    return run


def _pillars_to_map(operation: Operation, _: Mapping[str, Spec], setting: Setting) -> Run:
    a: dict[str, Any] = dict(operation.attributes)

    def run(values: Values, out: Values) -> dict[str, Any]:
        where = (values["coords"], 1, (a["height"], a["width"]))
        return {"map": ops.pillars_to_map(values["features"], *where, threads=setting.threads, out=out["map"])}

    return run


PILLARS: dict[str, Builder] = {
    "find_pillars": _find_pillars,
    "pillar_features": _pillar_features,
    "segment_max": _segment_max,
    "window_order": _window_order,
    "group_tokens": _group_tokens,
    "add_position": _add_position,
    "group_attention": _group_attention,
    "sequence_convolution": _sequence_convolution,
    "pillars_to_map": _pillars_to_map,
}
