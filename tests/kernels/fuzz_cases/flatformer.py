"""Pillars, windows, group attention, dense layers."""

import numpy as np

from perception import ops


def _grid(draw):
    minimum, size = (-2.0, draw.choice(-3.0, np.nan), -1.0), (0.5, draw.choice(0.3, 0.3, 0.0), 2.0)
    flags = {"clamp": draw.choice(True, False), "drop_first": draw.choice(True, False)}
    return ops.PillarGrid(minimum, size, draw.integer(1, 20), draw.integer(1, 20), **flags)


def _pillars(draw):
    rows, batches = draw.rows(), draw.integer(1, 3)
    points, grid = draw.floats(rows, draw.integer(3, 6), scale=draw.choice(1.0, 5.0)), _grid(draw)
    batch = draw.choice(None, draw.integers(rows, 0, batches - 1))
    return points, grid, ops.find_pillars(points, grid, batch, batches)


def fuzz_pillars(draw):
    points, grid, found = _pillars(draw)
    features = ops.pillar_features(points, grid, found)
    ops.segment_reduce(features, found.begins, draw.choice("max", "mean"))


def fuzz_features_of_damaged_pillars(draw):
    points, grid, found = _pillars(draw)
    kept, count = len(found.order), len(found.coords)
    order, begins = draw.integers(kept, 0, len(points) - 1), draw.integers(count + 1, 0, kept)
    ops.pillar_features(points, grid, found._replace(order=order))
    ops.pillar_features(points, grid, found._replace(coords=draw.integers((count, 3), 0, 9)))
    ops.pillar_features(points, grid, found._replace(begins=begins))


def fuzz_segment_reduce(draw):
    rows, segments = draw.rows(), draw.rows()
    begins = np.sort(draw.host_integers(segments + 1, 0, rows))
    features = draw.floats(rows, draw.channels(), dtype=draw.choice(np.float32, np.float16))
    ops.segment_reduce(features, draw.put(begins), draw.choice("max", "mean"))


def fuzz_pillars_to_map(draw):
    rows, batches, size = draw.rows(), draw.integer(0, 3), (draw.integer(0, 9), draw.integer(1, 9))
    coords = draw.integers((rows, 3), 0, max(min(batches, *size), 1) - 1)
    features = draw.floats(rows, draw.channels(), dtype=draw.choice(np.float32, np.float16))
    ops.pillars_to_map(features, coords, batches, size, draw.choice(True, False))


def fuzz_window_order(draw):
    size = draw.integer(1, 99), draw.choice(1, 50, 2**20)
    window = draw.integer(0, 20), draw.choice(1, 13, 300, 2**20)
    walk = ops.WindowWalk(draw.choice(1, 3, 2**31 - 1), size, window, draw.choice("x", "y"), draw.choice(True, False))
    coords = draw.integers((draw.rows(), 3), 0, 0) if min(size) == 1 else draw.integers((draw.rows(), 3), 0, 2)
    ops.window_keys(coords, walk)
    ops.window_order(coords, walk)


def fuzz_group_tokens(draw):
    counts = draw.host_integers(draw.integer(0, 4), 0, 300, np.int64)
    counts = np.where(counts > 1000, -1, counts)  # 2^31 tokens would only fill the memory
    ops.group_tokens(counts.tolist(), draw.integer(0, 256), like=draw.put(np.zeros(1, np.int32)))


def fuzz_add_position(draw):
    half, rows, length, others = draw.channels(), draw.rows(), draw.integer(1, 20), draw.choice(0, 0, 3)
    features = draw.floats(rows, 2 * half + others, dtype=draw.choice(np.float32, np.float16))[:, others:]
    ops.add_position(features, draw.integers((rows, 3), 0, length - 1), draw.floats(length, half))


def fuzz_group_attention(draw):
    counts = [draw.rows(most=300), draw.rows(), draw.rows()]
    tokens, heads, channels = sum(counts), draw.integer(1, 3), draw.choice(1, 5, 8, 16, 16, 24, 32, 33)
    dtype = draw.choice(np.float32, np.float16)
    q, k, v = (draw.floats(tokens, heads * channels, dtype=dtype, scale=draw.choice(1, 30)) for _ in range(3))
    groups = ops.group_tokens(counts, draw.choice(1, 15, 16, 69, 144, 256, 257), like=q)
    order = draw.choice(None, draw.put(draw.random.permutation(tokens).astype(np.int32)))
    ops.group_attention(q, k, v, heads, groups, order, draw.choice(None, 1.0, -1e30))


def fuzz_attention_of_damaged_groups(draw):
    tokens, size = draw.rows(most=200), draw.choice(1, 16, 69)
    q = draw.floats(tokens, 32, dtype=draw.choice(np.float32, np.float16))
    slots = -(-tokens // size) * size
    flat2win, win2flat = draw.integers(slots, 0, tokens - 1), draw.integers(tokens, 0, max(slots, 1) - 1)
    order = draw.choice(None, draw.integers(tokens, 0, tokens - 1))
    ops.group_attention(q, q, q, 2, ops.TokenGroups(flat2win, win2flat, size), order)


def fuzz_sequence_convolution(draw):
    counts, channels = [draw.rows(most=300), draw.rows(), draw.rows()], draw.channels()
    size, tokens = draw.choice(1, 3, 5, 9, 31, 31, draw.integer(0, 33)), sum(counts)
    gated = draw.floats(tokens, 2 * channels, dtype=draw.choice(np.float32, np.float16), scale=draw.choice(1, 300))
    ordered = draw.put(draw.random.permutation(tokens).astype(np.int32))
    order = draw.choice(None, ordered, ordered, ordered, draw.integers(tokens, 0, max(tokens - 1, 0)))
    counts = draw.choice(*[counts] * 8, [tokens, 1], [-1, tokens + 1])
    ops.sequence_convolution(gated, order, counts, draw.floats(size, channels))


def _norm(draw, channels):
    return ops.LayerNorm(draw.floats(channels), draw.floats(channels), draw.choice(1e-5, 1e-5, 1e-3, 0.0))


def fuzz_linear(draw):
    rows, inputs, outputs, other = draw.rows(most=200), draw.channels(), draw.channels(), draw.rows()
    dtype = draw.choice(np.float32, np.float16)
    others = draw.choice(0, 0, 5, 8)
    features = draw.floats(rows, inputs + others, dtype=dtype)[:, :inputs]
    weight = draw.floats(outputs, inputs, dtype=dtype)
    residual = {
        "residual": draw.floats(other, outputs, dtype=dtype),
        "residual_rows": draw.integers(rows, -1, other - 1),
    }
    following = {
        "norm": draw.choice(None, _norm(draw, outputs)),
        **draw.choice({}, {"residual": draw.floats(rows, outputs, dtype=dtype)}, residual),
    }
    activation = draw.choice("none", "relu", "gelu")
    ops.linear(features, weight, draw.choice(None, draw.floats(outputs)), activation, **following)


def fuzz_layer_norm(draw):
    rows, channels, dtype = draw.rows(), draw.channels(), draw.choice(np.float32, np.float16)
    features, residual = (draw.floats(rows, channels, dtype=dtype) for _ in range(2))
    ops.layer_norm(features, _norm(draw, channels), draw.choice(None, residual))
