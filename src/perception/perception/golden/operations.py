"""The golden case of the sparse operations, on a backend of the layers: the rule `floor` and what it shares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from perception.golden.cases import Array, GoldenCase
from perception.golden.checks import EXACT, Check
from perception.golden.executions import Execution, to_numpy
from perception.nn.tables import FrameTables
from perception.ops import CoordinateHash

POINT_STRIDES = (1, 2, 4)


def check_operations(case: GoldenCase, execution: Execution) -> Iterator[Check]:
    """Run the case; the outputs of torchsparse 2.1's own down-sampling rule (`v21`) are not ours."""
    with torch.inference_mode():
        yield from _convolutions(case, execution)
        yield from _points(case, execution)


def _convolutions(case: GoldenCase, execution: Execution) -> Iterator[Check]:
    backend, features = execution.backend, execution.tensor(case.inputs["feats"])
    weights = {name: execution.tensor(array) for name, array in case.weights().items()}
    tables = execution.tables(case.inputs["coords"])
    rows = _rows(tables, case.outputs["k2s2_floor_coords"])

    yield _check(case, "k3s1_map", tables.submanifold(1), exact=True)
    same = backend.sparse_convolution(features, tables.submanifold(1), weights["k3s1"], submanifold=True)
    yield _check(case, "k3s1", same)
    yield _check(case, "k2s2_floor_coords", to_numpy(tables.coords(2))[rows], exact=True)
    yield _check(case, "k2s2_floor_map", to_numpy(tables.down(1))[rows], exact=True)
    coarse = backend.sparse_convolution(features, tables.down(1), weights["k2s2"], submanifold=False)
    yield _check(case, "k2s2_floor", to_numpy(coarse)[rows])
    fine = backend.inverse_convolution(coarse, *tables.up(1), weights["k2s2_transposed"])
    yield _check(case, "k2s2_transposed_floor", fine)
    given = execution.tensor(case.outputs["k3s2_minkowski_map"].astype(np.int32))
    strided = backend.sparse_convolution(features, given, weights["k3s2"], submanifold=False)
    yield _check(case, "k3s2_minkowski", strided)


def _points(case: GoldenCase, execution: Execution) -> Iterator[Check]:
    backend, outputs = execution.backend, case.outputs
    at_points = execution.tensor(case.inputs["point_feats"])
    points = execution.tensor(outputs["voxelize_point_coords"])

    def mean(kind: str) -> Check:
        index = execution.tensor(outputs[f"{kind}_index"])
        return _check(case, kind, backend.scatter_mean(at_points, index, outputs[kind]))

    yield mean("voxelize")
    for stride in POINT_STRIDES:
        kind = f"devoxelize_s{stride}"
        features = execution.tensor(outputs[f"{kind}_feats"])
        coords = backend.coordinates(execution.tensor(outputs[f"{kind}_coords"]))
        index, weights = backend.trilinear_table(backend.coordinates(points), coords, stride)
        yield _check(case, f"{kind}_index", index, exact=True)
        yield _check(case, f"{kind}_weights", weights)
        yield _check(case, kind, backend.devoxelize(features, index, weights))
        yield mean(f"point_to_voxel_s{stride}")


def _check(case: GoldenCase, name: str, actual: Any, exact: bool = False) -> Check:
    return Check(name, to_numpy(actual), case.outputs[name], EXACT if exact else case.tolerance)


def _rows(tables: FrameTables, coords: Array) -> Array:
    """The row on level 2 of each of the stored voxels, which are in another order."""
    found = CoordinateHash(to_numpy(tables.coords(2))).query(coords)
    return found if len(found) == len(tables.coords(2)) else np.zeros(0, np.int32)
