"""Results in memory of the caller: they land there, and memory that will not do is refused."""

from __future__ import annotations

import numpy as np
import pytest

from perception import ops
from perception.ops.arrays import dtype_of

ROWS, CHANNELS = 300, 16


def drawn(*shape, dtype=np.float32, low=None, high=None):
    rng = np.random.default_rng([len(shape), *shape])
    values = rng.standard_normal(shape) if low is None else rng.integers(low, high, shape)
    return np.ascontiguousarray(values.astype(dtype))


def corners():
    return drawn(ROWS, 8, dtype=np.int32, low=-1, high=ROWS), drawn(ROWS, 8)


def convolution(dtype):
    features, residual = drawn(ROWS, CHANNELS, dtype=dtype), drawn(CHANNELS, ROWS, dtype=dtype).T.copy()
    table = drawn(ROWS, 27, dtype=np.int32, low=-1, high=ROWS)
    return features, table, drawn(27, CHANNELS, CHANNELS, dtype=dtype), None, residual


def inverse_convolution(dtype):
    parent, offset = drawn(ROWS, dtype=np.int32, low=-1, high=90), drawn(ROWS, dtype=np.uint8, low=0, high=8)
    residual = drawn(ROWS, CHANNELS, dtype=dtype)
    return drawn(90, 24, dtype=dtype), parent, offset, drawn(8, 24, CHANNELS, dtype=dtype), None, residual


def linear(features, weight, residual, **options):
    return ops.linear(features, weight, residual=residual, **options)


def joined(*arrays, **options):
    return ops.concatenate_columns(arrays, **options)


def along_a_sequence(gated, order, kernel, **options):
    return ops.sequence_convolution(gated, order, [ROWS], kernel, **options)


def gated_rows(dtype):
    """Values and gates, walked backwards, and a kernel of nine taps."""
    order = np.arange(ROWS, dtype=np.int32)[::-1].copy()
    return drawn(ROWS, 2 * CHANNELS, dtype=dtype), order, drawn(9, CHANNELS)


def cast_back(values, **options):
    """Cast to the same type, so that `out` is of the type of the case as for the others."""
    return ops.cast(values, dtype_of(values, "values"), **options)


def means(*arguments, **options):
    return ops.scatter_mean(*arguments, **options)[0]


def tokens(dtype):
    """Rows, walked backwards, in groups of which the last repeats some."""
    order = np.arange(ROWS, dtype=np.int32)[::-1].copy()
    groups = ops.group_tokens([ROWS], 64, order)
    return *(drawn(ROWS, CHANNELS, dtype=dtype) for _ in "qkv"), order, groups.flat2win, groups.win2flat


def attention(q, k, v, order, flat2win, win2flat, **options):
    return ops.group_attention(q, k, v, 2, ops.TokenGroups(flat2win, win2flat, 64), order, **options)


def cells():
    numbers = np.arange(ROWS, dtype=np.int32)
    return np.stack([0 * numbers, numbers // 20, numbers % 20], 1)


def largest(features, begins, **options):
    return ops.segment_reduce(features, begins, "max", **options)


def on_map(features, coords, **options):
    return ops.pillars_to_map(features, coords, 1, (20, 20), **options)


#: name -> (the operation, its arguments for a type of features, which of them `out` may be).
OPERATIONS = {
    "sparse_convolution": (ops.sparse_convolution, convolution, 4),
    "inverse_convolution": (ops.inverse_convolution, inverse_convolution, 5),
    "linear": (
        linear,
        lambda dtype: (drawn(ROWS, 24, dtype=dtype), drawn(16, 24, dtype=dtype), drawn(ROWS, 16, dtype=dtype)),
        2,
    ),
    "devoxelize": (ops.devoxelize, lambda dtype: (drawn(ROWS, CHANNELS, dtype=dtype), *corners()), None),
    "scatter_mean": (
        means,
        lambda dtype: (drawn(ROWS, CHANNELS, dtype=dtype), drawn(ROWS, dtype=np.int32, low=-1, high=ROWS), ROWS),
        None,
    ),
    "add_rows": (ops.add_rows, lambda dtype: (drawn(ROWS, 9, dtype=dtype), drawn(ROWS, 9, dtype=dtype)), 1),
    "concatenate_columns": (
        joined,
        lambda dtype: (drawn(ROWS, 9, dtype=dtype), drawn(ROWS, 7, dtype=dtype)),
        None,
    ),
    "sequence_convolution": (along_a_sequence, gated_rows, None),
    "take_rows": (
        ops.take_rows,
        lambda dtype: (drawn(90, 9, dtype=dtype), drawn(ROWS, dtype=np.int32, low=-1, high=90)),
        None,
    ),
    "add_position": (
        ops.add_position,
        lambda dtype: (drawn(ROWS, CHANNELS, dtype=dtype), cells(), drawn(20, CHANNELS // 2)),
        0,
    ),
    "group_attention": (attention, tokens, None),
    "segment_reduce": (
        largest,
        lambda dtype: (drawn(ROWS, CHANNELS, dtype=dtype), np.arange(0, ROWS + 1, 3, dtype=np.int32)),
        None,
    ),
    "pillars_to_map": (on_map, lambda dtype: (drawn(ROWS, CHANNELS, dtype=dtype), cells()), None),
    "cast": (cast_back, lambda dtype: (drawn(ROWS, 9, dtype=dtype),), None),
}
DTYPES = [np.float32, np.float16]


@pytest.fixture(params=OPERATIONS)
def operation(request):
    return OPERATIONS[request.param]


def place(device, arguments):
    return [device.array(value) if isinstance(value, np.ndarray) else value for value in arguments]


def overlapping(array, shape):
    """The array again, and one of the shape that begins one element later in the same memory."""
    size = np.prod(shape)
    memory = np.zeros(1 + max(array.size, size), array.dtype)
    memory[: array.size] = array.reshape(-1)
    return memory[: array.size].reshape(array.shape), memory[1 : 1 + size].reshape(shape)


@pytest.mark.parametrize("dtype", DTYPES)
def test_results_land_in_the_callers_memory(operation, dtype, device):
    call, make, _ = operation
    arguments = make(dtype)
    expected = device.numpy(call(*place(device, arguments)))
    out = device.array(np.full(expected.shape, np.nan, dtype))
    result = call(*place(device, arguments), out=out)
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(device.numpy(out), expected)
    np.testing.assert_array_equal(device.numpy(result), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name, operation in OPERATIONS.items() if operation[2] is not None])
def test_what_is_added_may_be_overwritten(name, dtype, device):
    call, make, residual = OPERATIONS[name]
    arguments = make(dtype)
    expected = device.numpy(call(*place(device, arguments)))
    there = place(device, arguments)
    call(*there, out=there[residual])
    np.testing.assert_array_equal(device.numpy(there[residual]), expected)


def test_memory_that_does_not_fit_is_refused(operation):
    call, make, _ = operation
    arguments = make(np.float32)
    shape = call(*arguments).shape
    read_only = np.zeros(shape, np.float32)
    read_only.flags.writeable = False
    wrong = {
        "out must have the shape": np.zeros((shape[0] + 1, *shape[1:]), np.float32),
        "out must be float32, found float16": np.zeros(shape, np.float16),
        "out must be contiguous": np.zeros(shape[::-1], np.float32).T,
        "out must be writable": read_only,
        "out must be a NumPy array": [0.0],
    }
    for message, out in wrong.items():
        with pytest.raises(ValueError, match=message):
            call(*arguments, out=out)


def test_memory_of_an_input_is_refused(operation):
    call, make, residual = operation
    arguments = make(np.float32)
    shape = call(*arguments).shape
    for which in {0, residual} - {None}:
        shared, out = overlapping(arguments[which], shape)
        with pytest.raises(ValueError, match="out must not overlap an input"):
            call(*arguments[:which], shared, *arguments[which + 1 :], out=out)


def test_rows_that_are_chosen_for_adding_may_not_be_overwritten():
    features, residual = drawn(ROWS, 8), drawn(ROWS, 4)
    rows = np.arange(ROWS, dtype=np.int32)[::-1].copy()
    with pytest.raises(ValueError, match="out must not overlap an input"):
        ops.linear(features, drawn(4, 8), residual=residual, residual_rows=rows, out=residual)


def test_points_are_described_in_the_callers_memory(device):
    points = device.array(drawn(ROWS, 5))
    grid = ops.PillarGrid((-2.0, -2.0, -2.0), (0.5, 0.5, 4.0), 8, 8, clamp=True)
    pillars = ops.find_pillars(points, grid)
    expected = device.numpy(ops.pillar_features(points, grid, pillars))
    out = device.array(np.full(expected.shape, np.nan, np.float32))
    ops.pillar_features(points, grid, pillars, out=out)
    np.testing.assert_array_equal(device.numpy(out), expected)


def test_memory_between_the_columns_of_an_input_is_refused():
    stacked, rows = drawn(ROWS, 3 * CHANNELS), drawn(ROWS, CHANNELS)
    q, k = stacked[:, :CHANNELS], stacked[:, CHANNELS : 2 * CHANNELS]
    last = stacked.reshape(-1)[-2 * ROWS * CHANNELS : -ROWS * CHANNELS].reshape(ROWS, CHANNELS)
    with pytest.raises(ValueError, match="out must not overlap an input"):
        ops.group_attention(q, k, rows, 2, 50, out=last)


def test_nothing_overlaps_an_empty_array():
    features = np.zeros((0, 8), np.float32)
    result = ops.linear(features, drawn(4, 8), out=np.zeros((0, 4), np.float32))
    assert result.shape == (0, 4)


@pytest.mark.emulation
def test_memory_elsewhere_is_refused(device):
    features, weight = device.array(drawn(ROWS, 8)), device.array(drawn(4, 8))
    with pytest.raises(ValueError, match="move them to one device first"):
        ops.linear(features, weight, out=np.zeros((ROWS, 4), np.float32))
