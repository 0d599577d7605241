"""Stand-ins in NumPy for the kernels of `perception.ops.rows` until they are there."""

from __future__ import annotations

from typing import Any

import numpy as np


def add_rows(a: Any, b: Any, *, relu: bool = False, threads: int | None = None, out: Any = None) -> Any:
    """Add, and rectify."""
    result = np.add(a, b, out=out)
    return np.maximum(result, 0, out=result) if relu else result


def concatenate_columns(parts: list[Any], threads: int | None = None, out: Any = None) -> Any:
    """Put columns side by side."""
    return np.concatenate(parts, axis=1, out=out)


def take_rows(values: Any, rows: Any, threads: int | None = None) -> Any:
    """Take rows."""
    return values[rows]


def cast(values: Any, dtype: Any, threads: int | None = None, out: Any = None) -> Any:
    """Convert."""
    if out is None:
        return values.astype(dtype)
    out[...] = values
    return out


def best_class(scores: Any, threads: int | None = None) -> tuple[Any, Any]:
    """Classes uint8 [N] and softmax probabilities float32 [N]."""
    scores = scores.astype(np.float32)
    best = scores.argmax(axis=1)
    highest = scores[np.arange(len(scores)), best][:, None]
    return best.astype(np.uint8), (1 / np.exp(scores - highest).sum(axis=1)).astype(np.float32)


def spread_labels(class_ids: Any, probabilities: Any, inverse: Any, threads: int | None = None) -> tuple[Any, Any]:
    """The labels of the voxel of each point; 255 without one."""
    known = (inverse >= 0) & (inverse < len(class_ids))
    rows = np.where(known, inverse, 0)
    return np.where(known, class_ids[rows], np.uint8(255)), np.where(known, probabilities[rows], np.float32(0))
