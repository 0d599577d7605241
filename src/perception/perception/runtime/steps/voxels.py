"""Steps on the voxels of a cloud in a grid of fixed shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from perception import ops
from perception.bundle.graph import Operation, Spec
from perception.runtime.steps.setting import Builder, Run, Setting, Values

AXES = ("x", "y", "z")


def _voxelize(operation: Operation, _: Mapping[str, Spec], setting: Setting) -> Run:
    a: dict[str, Any] = dict(operation.attributes)
    grid = ops.VoxelGrid(*([a[f"{name}_{axis}_m"] for axis in AXES] for name in ("low", "high", "edge")))
    capacities = (a["voxel_points"], a["most_voxels"])

    def run(values: Values, _: Values) -> dict[str, Any]:
        found = ops.voxelize_hard(values["points"], grid, *capacities, with_points=False, threads=setting.threads)
        return {"coords": found.coords, "features": found.means}

    return run


def _window_table(operation: Operation, _: Mapping[str, Spec], setting: Setting) -> Run:
    size, stride, padding, shape = (_three(operation, name) for name in ("size", "stride", "padding", "shape"))
    window = (size, stride, padding)

    def run(values: Values, _: Values) -> dict[str, Any]:
        coords = values["coords"]
        below = ops.window_outputs(coords, *window, shape=shape, threads=setting.threads)
        table = ops.window_table(coords, below, *window, threads=setting.threads)
        return {"coords": below, "table": ops.PreparedTable(table, len(coords), setting.threads)}

    return run


def _voxels_to_map(operation: Operation, inputs: Mapping[str, Spec], setting: Setting) -> Run:
    width, height, layers = _three(operation, "shape")
    channels: Any = inputs["features"].shape[1]

    def run(values: Values, out: Values) -> dict[str, Any]:
        # Layers on top of each other are one tall map, which in memory is the map with layers as channels.
        batch, x, y, z = setting.place.download(values["coords"]).T
        cells = setting.place.upload(np.ascontiguousarray(np.stack([batch, z * height + y, x], 1)))
        options = {"threads": setting.threads, "out": out["map"].reshape(1, channels, layers * height, width)}
        tall = ops.pillars_to_map(values["features"], cells, 1, (layers * height, width), **options)
        return {"map": tall.reshape(1, channels * layers, height, width)}

    return run


def _three(operation: Operation, name: str) -> tuple[int, int, int]:
    values: Any = operation.attributes[name]
    return values["x"], values["y"], values["z"]


VOXELS: dict[str, Builder] = {
    "voxelize": _voxelize,
    "window_table": _window_table,
    "voxels_to_map": _voxels_to_map,
}
