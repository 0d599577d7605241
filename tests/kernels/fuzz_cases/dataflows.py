"""Sparse convolution with prepared tables, on a GPU in every way that there is."""

import numpy as np

from perception import ops


def _prepared(draw, inputs):
    table = draw.integers((draw.rows(140), draw.choice(1, 8, 27, 70)), -1, inputs - 1)
    return ops.PreparedTable(table, inputs)


def fuzz_pairs(draw):
    prepared = _prepared(draw, draw.rows())
    prepared.order  # noqa: B018
    prepared.pairs  # noqa: B018


def fuzz_prepared_convolution(draw):
    dtype, shape = draw.choice(np.float32, np.float16), (draw.channels(), draw.channels())
    features = draw.floats(draw.rows(), shape[0], dtype=dtype)
    prepared = _prepared(draw, len(features))
    weight = draw.floats(prepared.volume, *shape, dtype=dtype)
    bias = draw.floats(shape[1]) if draw.choice(True, False) else None
    residual = draw.floats(len(prepared), shape[1], dtype=dtype) if draw.choice(True, False) else None
    tuning = ops.Tuning(
        draw.choice(*ops.Dataflow),
        draw.choice(None, (64, 32), (64, 64), (64, 96), (128, 128), (32, 32)),
        draw.choice(True, False),
        draw.choice(True, False),
        draw.choice(0.0, 0.3, 1.0, float("nan")),
        draw.choice(0, 40, 1 << 40, -1),
    )
    ops.sparse_convolution(features, prepared, weight, bias, residual, draw.choice(True, False), tuning=tuning)
