"""Steps that depend on where voxels are only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from perception import ops
from perception.bundle.graph import Operation, Spec
from perception.ops import rows
from perception.runtime.steps.setting import Builder, Run, Setting, Values


def _downsample(operation: Operation, _: Mapping[str, Spec], setting: Setting) -> Run:
    stride = int(operation.attributes.get("stride", 2))  # type: ignore[arg-type]

    def run(values: Values, _: Values) -> dict[str, Any]:
        return ops.downsample(values["coords"], stride, threads=setting.threads)._asdict()

    return run


def _submanifold_table(_: Operation, __: Mapping[str, Spec], setting: Setting) -> Run:
    def run(values: Values, _: Values) -> dict[str, Any]:
        coords = values["coords"]
        table = ops.submanifold_table(coords, threads=setting.threads)
        return {"table": ops.PreparedTable(table, len(coords), setting.threads)}

    return run


def _strided_table(_: Operation, __: Mapping[str, Spec], setting: Setting) -> Run:
    def run(values: Values, _: Values) -> dict[str, Any]:
        parent, offset, coarse = values["parent"], values["offset"], values["coords"]
        table = ops.strided_table(parent, offset, len(coarse), threads=setting.threads)
        return {"table": ops.PreparedTable(table, len(parent), setting.threads)}

    return run


def _trilinear_table(operation: Operation, _: Mapping[str, Spec], setting: Setting) -> Run:
    stride = int(operation.attributes["stride"])  # type: ignore[arg-type]

    def run(values: Values, _: Values) -> dict[str, Any]:
        points = rows.cast(values["points"], np.float32, threads=setting.threads)
        table = ops.trilinear_table(points, values["coords"], stride, threads=setting.threads)
        return dict(zip(("rows", "weights"), table, strict=True))

    return run


def _take_rows(_: Operation, __: Mapping[str, Spec], setting: Setting) -> Run:
    def run(values: Values, _: Values) -> dict[str, Any]:
        return {"values": rows.take_rows(values["values"], values["rows"], threads=setting.threads)}

    return run


TABLES: dict[str, Builder] = {
    "downsample": _downsample,
    "submanifold_table": _submanifold_table,
    "strided_table": _strided_table,
    "trilinear_table": _trilinear_table,
    "take_rows": _take_rows,
}
