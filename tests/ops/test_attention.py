"""Group attention against the plain softmax of its scores."""

import math

import numpy as np
import pytest
import torch

from perception import ops
from perception.ops import reference_attention

#: Relative to the largest result of the case.
TOLERANCE = {np.float32: 1e-5, np.float16: 2e-3}
#: Scores of thousands are themselves rounded to some 1e-4 in float32.
LARGE_SCORES = {np.float32: 1e-4, np.float16: 1e-2}


def normal(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def expected_result(q, k, v, heads, groups, order, scale=None):
    q, k, v = (torch.from_numpy(x).double() for x in (q, k, v))
    flat2win, win2flat, size = groups
    indices = (torch.from_numpy(flat2win), torch.from_numpy(win2flat), size, torch.from_numpy(order))
    return reference_attention.group_attention(q, k, v, heads, *indices, scale).numpy()


def assert_close(actual, expected, tolerance=TOLERANCE):
    assert actual.shape == expected.shape
    largest = tolerance[actual.dtype.type] * max(1.0, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(actual.astype(np.float64), expected, rtol=0, atol=largest)


def check(device, q, k, v, heads, counts, size, threads=2, scale=None, tolerance=TOLERANCE):
    order = np.random.default_rng(len(q)).permutation(len(q)).astype(np.int32)
    arrays = [device.array(x) for x in (q, k, v)]
    groups = ops.group_tokens(counts, size, like=arrays[0])
    result = ops.group_attention(*arrays, heads, groups, device.array(order), scale, threads)
    expected = expected_result(q, k, v, heads, device.numpy(groups), order, scale)
    assert_close(device.numpy(result), expected, tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("heads", "size"), [(2, 16), (1, 32), (3, 20), (2, 24), (1, 1), (5, 7), (2, 8)])
def test_heads_of_every_size_equal_the_reference(device, dtype, heads, size, threads):
    q, k, v = (normal(60, heads * size, seed=seed, dtype=dtype) for seed in range(3))
    check(device, q, k, v, heads, [47, 13], 21, threads)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("size", [1, 2, 8, 15, 16, 17, 33, 69, 144, 255, 256])
def test_groups_of_every_size_equal_the_reference(device, dtype, size, threads):
    counts = [size, 2 * size + size // 2, max(size // 3, 1), 0]
    q, k, v = (normal(sum(counts), 32, seed=seed, dtype=dtype) for seed in range(3))
    check(device, q, k, v, 2, counts, size, threads)


def test_no_tokens(device):
    nothing = device.array(np.zeros((0, 16), np.float32))
    groups = ops.group_tokens([0, 0], 69, like=nothing)
    assert device.numpy(ops.group_attention(nothing, nothing, nothing, 1, groups)).shape == (0, 16)
    assert device.numpy(ops.group_attention(nothing, nothing, nothing, 1, 69)).shape == (0, 16)


def test_groups_that_lie_one_after_another_need_no_indices(device, threads):
    q, k, v = (normal(3 * 69, 32, seed=seed) for seed in range(3))
    whole = (np.arange(207, dtype=np.int32), np.arange(207, dtype=np.int32), 69)
    result = device.numpy(ops.group_attention(*(device.array(x) for x in (q, k, v)), 2, 69, threads=threads))
    assert_close(result, expected_result(q, k, v, 2, whole, np.arange(207)))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_scores_of_any_size_do_not_overflow(device, dtype):
    q, k, v = (normal(69, 16, seed=seed, dtype=dtype) for seed in range(3))
    for factor in (0.0, 1.0, -1.0, 200.0):  # up to scores of several thousand
        check(device, q, k, v, 1, [69], 69, scale=factor, tolerance=LARGE_SCORES)
    check(device, q * dtype(0), k, v, 1, [69], 69)  # equal weights


def test_one_key_takes_all(device):
    q, v = np.full((144, 16), 8, np.float32), normal(144, 16)
    k = np.full((144, 16), -8, np.float32)
    k[77] = 8
    result = device.numpy(ops.group_attention(*(device.array(x) for x in (q, k, v)), 1, 144))
    np.testing.assert_allclose(result, np.broadcast_to(v[77], result.shape), rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_a_number_stays_in_its_group(device, value):
    q, k, v = (normal(2 * 20, 16, seed=seed) for seed in range(3))
    k[3, 5] = value
    result = device.numpy(ops.group_attention(*(device.array(x) for x in (q, k, v)), 1, 20))
    assert np.isnan(result[:20]).any(axis=1).sum() >= (20 if np.isnan(value) else 1)
    whole = (np.arange(40, dtype=np.int32), np.arange(40, dtype=np.int32), 20)
    assert_close(result[20:], expected_result(q, np.nan_to_num(k), v, 1, whole, np.arange(40))[20:])


def test_stacked_outputs_of_a_layer_are_read_in_place():
    stacked = normal(138, 96)
    q, k, v = stacked[:, :32], stacked[:, 32:64], stacked[:, 64:]
    dense = [np.ascontiguousarray(x) for x in (q, k, v)]
    np.testing.assert_array_equal(ops.group_attention(q, k, v, 2, 69), ops.group_attention(*dense, 2, 69))


@pytest.mark.large
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("size", "heads"), [(69, 8), (144, 4)])
def test_300_000_tokens_at_any_number_of_threads(device, size, heads, dtype):
    counts = [200_000, 100_000]
    q, k, v = (normal(300_000, heads * 16, seed=seed, dtype=dtype) for seed in range(3))
    order = np.random.default_rng(0).permutation(300_000).astype(np.int32)
    arrays = [device.array(x) for x in (q, k, v)]
    groups, order_there = ops.group_tokens(counts, size, like=arrays[0]), device.array(order)
    results = [device.numpy(ops.group_attention(*arrays, heads, groups, order_there, threads=t)) for t in (1, 4)]
    np.testing.assert_array_equal(*results)
    chosen = slice(0, 40 * size)  # whole groups from the first on; all of them would take the reference minutes
    rows = order[chosen]
    part = tuple(np.arange(40 * size, dtype=np.int32) for _ in range(2))
    expected = expected_result(q[rows], k[rows], v[rows], heads, (*part, size), np.arange(40 * size))
    assert_close(results[0][rows], expected)


BAD_CALLS = {
    "q, k and v must have one shape": lambda q: ops.group_attention(q, q[:10], q, 1, 20),
    "16 channels cannot be shared by 3 heads": lambda q: ops.group_attention(q, q, q, 3, 20),
    "20 tokens do not fill groups of 7": lambda q: ops.group_attention(q, q, q, 1, 7),
    "20 tokens do not fill groups of 0": lambda q: ops.group_attention(q, q, q, 1, 0),
    "k must be float32, found float64": lambda q: ops.group_attention(q, q.astype(np.float64), q, 1, 20),
    "q must be float32 or float16, found float64": lambda q: ops.group_attention(q.astype(np.float64), q, q, 1, 20),
    "v must have dense rows": lambda q: ops.group_attention(q, q, np.asfortranarray(q), 1, 20),
    "scale must be finite": lambda q: ops.group_attention(q, q, q, 1, 20, scale=math.inf),
    "head_dim must lie in 1..32": lambda q: ops.group_attention(*[np.zeros((20, 33), np.float32)] * 3, 1, 20),
    "group_size must lie in 1..256": lambda q: ops.group_attention(*[np.zeros((257, 16), np.float32)] * 3, 1, 257),
    "order must hold every row once": lambda q: ops.group_attention(q, q, q, 1, 20, np.zeros(20, np.int32)),
    "order must have the shape": lambda q: ops.group_attention(q, q, q, 1, 20, np.zeros(19, np.int32)),
    "flat2win names a position that does not exist": lambda q: _with_groups(q, flat2win=20),
    "win2flat must name a slot that holds the position": lambda q: _with_groups(q, win2flat=20),
}


def _with_groups(q, flat2win=0, win2flat=0):
    indices = np.arange(20, dtype=np.int32)
    other, back = indices.copy(), indices.copy()
    other[0], back[0] = flat2win, win2flat
    return ops.group_attention(q, q, q, 1, ops.TokenGroups(other, back, 20))


@pytest.mark.parametrize("message", BAD_CALLS)
def test_bad_calls_say_what_is_wrong(message):
    with pytest.raises(ValueError, match=message):
        BAD_CALLS[message](normal(20, 16))
