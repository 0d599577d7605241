"""Rows between layers, and labels."""

import numpy as np

from perception import ops


def fuzz_add_rows(draw):
    shape, dtype = (draw.rows(), draw.channels()), draw.choice(np.float32, np.float16)
    a, b = draw.floats(*shape, dtype=dtype), draw.floats(*shape, dtype=dtype)
    ops.add_rows(a, b, draw.choice(True, False), out=draw.choice(None, a, b))


def fuzz_concatenate_columns(draw):
    rows, dtype = draw.rows(), draw.choice(np.float32, np.float16)
    ops.concatenate_columns([draw.floats(rows, draw.channels(), dtype=dtype) for _ in range(draw.integer(0, 9))])


def fuzz_take_rows(draw):
    count, dtype = draw.rows(), draw.choice(np.float32, np.float16)
    rows = draw.integers(draw.rows(), -1, count - 1)
    ops.take_rows(draw.floats(count, draw.channels(), dtype=dtype), rows)
    ops.take_rows(draw.integers(count, -1, 9), rows)


def fuzz_cast(draw):
    dtypes = draw.choice(np.float32, np.float16), draw.choice(np.float32, np.float16)
    ops.cast(draw.floats(draw.rows(), draw.channels(), dtype=dtypes[0]), dtypes[1])


def fuzz_labels(draw):
    scores = draw.floats(draw.rows(), draw.choice(1, 4, 19, 255, 256), dtype=draw.choice(np.float32, np.float16))
    labels = ops.best_class(scores)
    ops.spread_labels(*labels, draw.integers(draw.rows(), -1, len(scores) + 3))
