"""Dense layers with what follows them, against PyTorch."""

import numpy as np
import pytest
import torch

from perception import ops
from perception.ops import reference_attention

#: Relative to the largest result of the case.
TOLERANCE = {np.float32: 1e-5, np.float16: 2e-3}
#: c_in, c_out: panels of every width, padding, FlatFormer's own.
CHANNELS = [(1, 1), (3, 5), (8, 16), (17, 33), (11, 64), (64, 128), (128, 256), (256, 128), (70, 129)]


def normal(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def double(array):
    return None if array is None else torch.from_numpy(array).double()


def assert_close(actual, expected):
    expected = expected.numpy()
    assert actual.shape == expected.shape
    tolerance = TOLERANCE[actual.dtype.type] * max(1.0, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(actual.astype(np.float64), expected, rtol=0, atol=tolerance)


def check(device, features, weight, activation="none", threads=2, **other):
    """`other`: bias, residual, residual_rows, norm."""
    norm = other.pop("norm", None)
    there = {name: None if value is None else device.array(value) for name, value in other.items()}
    there_norm = norm and ops.LayerNorm(device.array(norm[0]), device.array(norm[1]), norm[2])
    arrays = (device.array(features), device.array(weight))
    result = ops.linear(*arrays, activation=activation, **there, norm=there_norm, threads=threads)
    rows = other.pop("residual_rows", None)
    doubles = {name: double(value) for name, value in other.items()}
    expected = reference_attention.linear(
        double(features),
        double(weight),
        activation=activation,
        **doubles,
        residual_rows=None if rows is None else torch.from_numpy(rows),
        norm=norm and (double(norm[0]), double(norm[1]), norm[2]),
    )
    assert_close(device.numpy(result), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("begin", "end"), [(0, 64), (64, 128), (3, 40), (5, 6)])
def test_columns_of_a_larger_array_are_read_in_place(device, begin, end, dtype, threads):
    weight = device.array(normal(24, end - begin, dtype=dtype))
    for rows in (0, 1, 7, 150):
        stacked = normal(rows, 128, dtype=dtype)
        result = ops.linear(device.array(stacked)[:, begin:end], weight, threads=threads)
        dense = ops.linear(device.array(np.ascontiguousarray(stacked[:, begin:end])), weight, threads=threads)
        np.testing.assert_array_equal(device.numpy(result), device.numpy(dense))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("activation", ["none", "relu", "gelu"])
@pytest.mark.parametrize(("inputs", "outputs"), CHANNELS)
def test_linear_equals_the_reference(device, inputs, outputs, activation, dtype, threads):
    for rows in (0, 1, 7, 150):
        features, weight = normal(rows, inputs, dtype=dtype), normal(outputs, inputs, dtype=dtype) / dtype(inputs**0.5)
        check(device, features, weight, activation, threads, bias=normal(outputs))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("inputs", "outputs"), [(3, 5), (64, 128), (70, 129)])
def test_what_follows_the_product_equals_the_reference(device, inputs, outputs, dtype, threads):
    rows = 130
    features, weight = normal(rows, inputs, dtype=dtype), normal(outputs, inputs, dtype=dtype) / dtype(inputs**0.5)
    residual, norm = (
        normal(rows, outputs, seed=1, dtype=dtype),
        (normal(outputs, seed=2), normal(outputs, seed=3), 1e-5),
    )
    few = normal(9, outputs, seed=4, dtype=dtype)
    chosen = np.random.default_rng(0).integers(-1, 9, rows).astype(np.int32)
    check(device, features, weight, "none", threads, residual=residual)
    check(device, features, weight, "relu", threads, residual=few, residual_rows=chosen)
    check(device, features, weight, "gelu", threads, norm=norm)
    check(device, features, weight, "none", threads, bias=normal(outputs), residual=residual, norm=norm)
    check(device, features, weight, "relu", threads, residual=few, residual_rows=chosen, norm=norm)
    none = np.full(rows, -1, np.int32)
    check(device, features, weight, "none", threads, residual=few[:0], residual_rows=none)


def test_gelu_over_its_whole_range(device):
    values = np.concatenate([np.linspace(-12, 12, 4001), [-1e30, 1e30, 0.0, -0.0]]).astype(np.float32)
    one = device.array(np.ones((1, 1), np.float32))
    result = device.numpy(ops.linear(device.array(values[:, None]), one, None, "gelu"))
    expected = torch.nn.functional.gelu(double(values)).numpy()
    error = np.abs(result[:, 0] - expected)
    assert (error <= 4e-7 * np.maximum(1, np.abs(values))).all()


@pytest.mark.parametrize("activation", ["none", "gelu"])
def test_what_is_not_a_number_stays_in_its_row(device, activation):
    features, weight = normal(20, 16), normal(24, 16)
    features[3, 4] = np.nan
    norm = ops.LayerNorm(device.array(np.ones(24, np.float32)), device.array(np.zeros(24, np.float32)))
    result = device.numpy(ops.linear(device.array(features), device.array(weight), None, activation, norm=norm))
    assert np.isnan(result[3]).all()
    assert np.isfinite(np.delete(result, 3, 0)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("channels", [1, 3, 16, 100, 128, 300])
def test_layer_norm_equals_the_reference(device, channels, dtype, threads):
    weight, bias = normal(channels), normal(channels, seed=1)
    norm = ops.LayerNorm(device.array(weight), device.array(bias), 1e-3)
    for rows in (0, 1, 333):
        features, residual = normal(rows, channels, dtype=dtype), normal(rows, channels, seed=5, dtype=dtype)
        for other in (None, residual):
            there = None if other is None else device.array(other)
            result = device.numpy(ops.layer_norm(device.array(features), norm, there, threads))
            expected = (double(features), (double(weight), double(bias), 1e-3), double(other))
            assert_close(result, reference_attention.layer_norm(*expected))


def test_layer_norm_far_from_zero(device):
    features = normal(50, 128) + 1000
    norm = ops.LayerNorm(device.array(np.ones(128, np.float32)), device.array(np.zeros(128, np.float32)))
    result = device.numpy(ops.layer_norm(device.array(features), norm))
    expected = torch.nn.functional.layer_norm(double(features), (128,))
    np.testing.assert_allclose(result, expected.numpy(), rtol=0, atol=1e-3)  # the inputs are rounded to 6e-5


@pytest.mark.large
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_300_000_rows_at_any_number_of_threads(device, dtype):
    features, weight = normal(300_000, 16, dtype=dtype), normal(32, 16, dtype=dtype)
    check(device, features, weight, "gelu", threads=1)
    check(device, features, weight, "gelu", threads=4)
    calls = [ops.linear(features, weight, activation="gelu", threads=threads) for threads in (1, 3)]
    np.testing.assert_array_equal(*calls)


ROWS, WEIGHT, ONES = np.ones((4, 3), np.float32), np.ones((5, 3), np.float32), np.ones(5, np.float32)
BAD_CALLS = {
    "weight must have the shape": lambda: ops.linear(ROWS, WEIGHT.T.copy()),
    "weight must be float32": lambda: ops.linear(ROWS, WEIGHT.astype(np.float16)),
    "features must be float32 or float16": lambda: ops.linear(ROWS.astype(np.float64), WEIGHT),
    "bias must have the shape": lambda: ops.linear(ROWS, WEIGHT, np.ones(4, np.float32)),
    "activation must be one of": lambda: ops.linear(ROWS, WEIGHT, None, "tanh"),
    "residual must have the shape": lambda: ops.linear(ROWS, WEIGHT, residual=np.ones((3, 5), np.float32)),
    "residual_rows needs a residual": lambda: ops.linear(ROWS, WEIGHT, residual_rows=np.zeros(4, np.int32)),
    "residual_rows names a row that does not exist": lambda: ops.linear(
        ROWS, WEIGHT, residual=np.ones((2, 5), np.float32), residual_rows=np.array([0, 1, 2, 0], np.int32)
    ),
    "the epsilon of the norm must be a positive number": lambda: ops.linear(
        ROWS, WEIGHT, norm=ops.LayerNorm(ONES, ONES, 0.0)
    ),
    "the weight of the norm must have the shape": lambda: ops.layer_norm(ROWS, ops.LayerNorm(ONES, ONES)),
    "weight must be contiguous": lambda: ops.linear(ROWS, np.asfortranarray(WEIGHT)),
    "c_in must lie in 1..65536": lambda: ops.linear(ROWS[:, :0], WEIGHT[:, :0]),
}


@pytest.mark.parametrize("message", BAD_CALLS)
def test_bad_calls_say_what_is_wrong(message):
    call = BAD_CALLS[message]
    with pytest.raises(ValueError, match=message):
        call()
