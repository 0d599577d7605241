"""Sparse convolution with prepared tables in every dataflow, and what preparing costs (plain layers: voxels.py)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.gpu_operations import Operation, Setting
from perception import ops
from perception.ops import Dataflow, PreparedTable, Tuning

TUNINGS = {
    "implicit GEMM": Tuning(Dataflow.IMPLICIT_GEMM),
    "fetch on demand": Tuning(Dataflow.FETCH_ON_DEMAND),
    "gather-scatter": Tuning(Dataflow.GATHER_SCATTER, epsilon=0.3, threshold=16384),
}


def operations(setting: Setting) -> Iterator[Operation]:
    """List what is timed; tables are prepared before."""
    voxel_size_m = 0.5 if setting.fast else 0.05
    coords = ops.voxelize(setting.points, voxel_size_m).coords  # on the CPU: other families time that
    if setting.fast:
        coords = coords[:100]
    table = ops.submanifold_table(coords)
    pairs = int((table >= 0).sum())
    prepared = PreparedTable(setting.device.array(table), len(coords))
    for channels in (8,) if setting.fast else (32, 64, 96, 128, 256):
        for dtype in (np.float32, np.float16):
            yield from _layers(setting, prepared, pairs, channels, dtype)
    yield from _preparations(setting, prepared, pairs)
    yield from _up(setting, coords)


def _costs(rows: int, pairs: int, volume: int, channels: int, bytes_each: int) -> tuple[float, float]:
    """Bytes and floating-point operations of a layer from as many channels to as many."""
    moved = (2 * rows * channels + volume * channels**2) * bytes_each + 4 * rows * volume
    return moved, 2 * pairs * channels**2


def _layers(setting: Setting, prepared: PreparedTable, pairs: int, channels: int, dtype: type) -> Iterator[Operation]:
    rows, kind, half = len(prepared), np.dtype(dtype).name, dtype == np.float16
    features = setting.floats(rows, channels, dtype=dtype)
    weight = setting.floats(27, channels, channels, dtype=dtype)
    costs = _costs(rows, pairs, 27, channels, np.dtype(dtype).itemsize)
    size = f"{rows} voxels, {channels} channels, {kind}"
    for name, tuning in TUNINGS.items():
        yield Operation(
            f"submanifold convolution, {name}, {size}",
            lambda tuning=tuning: ops.sparse_convolution(features, prepared, weight, tuning=tuning),
            *costs,
            tensor_cores=half,
        )
    if half:
        yield Operation(
            f"weight gradient, {size}",
            lambda: ops.weight_gradient(features, features, prepared.table),
            *costs,
            tensor_cores=True,
        )


def _preparations(setting: Setting, prepared: PreparedTable, pairs: int) -> Iterator[Operation]:
    rows, read_bytes = len(prepared), 4 * 27 * len(prepared)
    fresh = (prepared.table, prepared.input_count)
    yield Operation(f"ordering {rows} rows", lambda: PreparedTable(*fresh).order, read_bytes + 4 * rows)
    yield Operation(f"listing {pairs} pairs", lambda: PreparedTable(*fresh).pairs, read_bytes + 8 * pairs)


def _up(setting: Setting, coords: np.ndarray) -> Iterator[Operation]:
    level = ops.downsample(coords)
    parent, offset = setting.device.array(level.parent), setting.device.array(level.offset)
    rows, channels = len(coords), 8 if setting.fast else 64
    features = setting.floats(len(level.coords), channels, dtype=np.float16)
    weight = setting.floats(8, channels, channels, dtype=np.float16)
    moved = 2 * channels * (rows + len(level.coords) + 8 * channels) + 5 * rows
    yield Operation(
        f"inverse convolution, {rows} voxels, {channels} channels, float16",
        lambda: ops.inverse_convolution(features, parent, offset, weight),
        moved,
        2 * rows * channels**2,
        tensor_cores=True,
    )
