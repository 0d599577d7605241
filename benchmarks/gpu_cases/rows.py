"""What lies between the layers of SPVCNN: rows added, joined, taken and converted, and labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.gpu_operations import Operation, Setting
from perception import ops

CHANNELS, CLASSES = 96, 19


def operations(setting: Setting) -> Iterator[Operation]:
    """Yield them on as many rows as a scan has voxels at 0.05 m."""
    rows = 500 if setting.fast else 95_000
    index = setting.device.array(np.random.default_rng(0).permutation(rows).astype(np.int32))
    for dtype in (np.float32, np.float16):
        yield from _features(setting, rows, index, dtype)
    scores = setting.floats(rows, CLASSES)
    labels = ops.best_class(scores)
    moved = (4 * CLASSES + 5) * rows
    yield Operation(f"best class, {rows} x {CLASSES}", lambda: ops.best_class(scores), moved, 4.0 * rows * CLASSES)
    yield Operation(f"compose indices, {rows}", lambda: ops.take_rows(index, index), 12 * rows)
    yield Operation(f"spread labels, {rows}", lambda: ops.spread_labels(*labels, index), 14 * rows)


def _features(setting: Setting, rows: int, index: object, dtype: type) -> Iterator[Operation]:
    a, b = (setting.floats(rows, CHANNELS, dtype=dtype) for _ in range(2))
    name, size = np.dtype(dtype).name, f"{rows} x {CHANNELS}"
    matrix = rows * CHANNELS * np.dtype(dtype).itemsize
    other = np.float16 if dtype == np.float32 else np.float32
    yield Operation(f"add rows + ReLU, {size}, {name}", lambda: ops.add_rows(a, b, True), 3 * matrix)
    yield Operation(f"concatenate columns, 2 of {size}, {name}", lambda: ops.concatenate_columns([a, b]), 4 * matrix)
    yield Operation(f"take rows, {size}, {name}", lambda: ops.take_rows(a, index), 2 * matrix + 4 * rows)
    yield Operation(f"cast, {size}, from {name}", lambda: ops.cast(a, other), 6 * rows * CHANNELS)
