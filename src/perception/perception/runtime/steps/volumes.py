"""Steps on batches: dense voxels, and regions of dense engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from perception import ops
from perception.bundle.graph import Operation, Spec
from perception.runtime.steps.setting import Builder, Run, Setting, Values


def _grid_coordinates(operation: Operation, _: Mapping[str, Spec], setting: Setting) -> Run:
    resolution, placement = operation.attributes["resolution"], operation.attributes["placement"]
    assert isinstance(resolution, int)

    def run(values: Values, _: Values) -> dict[str, Any]:
        points = np.ascontiguousarray(setting.place.download(values["points"])[:, :3])
        if placement == "fixed":
            cells = (np.clip((points + 1) / 2, 0, 1) * (resolution - 1)).astype(np.float32)
        else:
            normalize = placement == "normalize"
            cells = ops.dense_coordinates(points, resolution, normalize=normalize, threads=setting.threads)
        return {"coordinates": setting.place.upload(cells)}

    return run


def _dense_voxelize(operation: Operation, _: Mapping[str, Spec], setting: Setting) -> Run:
    resolution = operation.attributes["resolution"]
    assert isinstance(resolution, int)

    def run(values: Values, _: Values) -> dict[str, Any]:
        cells = (values["features"], values["coordinates"], resolution)
        return {"volume": ops.dense_voxelize(*cells, threads=setting.threads)[0]}

    return run


def _dense_devoxelize(_: Operation, __: Mapping[str, Spec], setting: Setting) -> Run:
    def run(values: Values, _: Values) -> dict[str, Any]:
        return {"features": ops.dense_devoxelize(values["volume"], values["coordinates"], threads=setting.threads)}

    return run


def _dense_region(operation: Operation, _: Mapping[str, Spec], setting: Setting) -> Run:
    region = setting.regions[str(operation.attributes["file"])]

    def run(values: Values, _: Values) -> dict[str, Any]:
        return region.run(values)

    return run


VOLUMES: dict[str, Builder] = {
    "grid_coordinates": _grid_coordinates,
    "dense_voxelize": _dense_voxelize,
    "dense_devoxelize": _dense_devoxelize,
    "dense_region": _dense_region,
}
