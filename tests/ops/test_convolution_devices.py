"""Sparse convolution wherever it runs, case by case against the reference in float64.

On the CPU this is a third of what test_convolution.py looks at; on a GPU, emulated or real, it is the judge.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from perception import ops
from perception.ops import reference

# Relative to the largest result. Sums are float32, and inputs and results are rounded to what they are stored as.
TOLERANCE = {np.float32: 1e-5, np.float16: 2e-3}
CHANNELS = [(1, 1), (3, 16), (16, 24), (24, 64), (64, 70), (70, 129), (129, 3)]
DTYPES = [np.float32, np.float16]
VOLUMES = [1, 8, 27, 125]


def normal(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def draw_table(outputs, inputs, volume, seed=0, density=0.3):
    """Draw a table with rows without any input, cells in no order, and weights that few rows use."""
    rng = np.random.default_rng([seed, outputs, inputs, volume])
    table = rng.integers(0, max(inputs, 1), (outputs, volume)).astype(np.int32)
    kept = rng.random((outputs, volume)) < density * rng.random(volume) * 2
    kept[rng.random(outputs) < 0.1] = False
    return np.where(kept & (inputs > 0), table, -1).astype(np.int32)


def double(array):
    return None if array is None else torch.from_numpy(array.astype(np.float64))


def assert_close(actual, expected, dtype):
    expected = expected.detach().numpy()
    assert actual.shape == expected.shape
    assert actual.dtype == dtype
    scale = max(1.0, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(actual.astype(np.float64), expected, rtol=0, atol=TOLERANCE[dtype] * scale)


def place(device, *arrays):
    return [None if array is None else device.array(array) for array in arrays]


@pytest.mark.parametrize("volume", VOLUMES)
@pytest.mark.parametrize(("inputs", "outputs"), CHANNELS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_convolution_equals_the_reference(device, dtype, inputs, outputs, volume):
    table = draw_table(131, 90, volume)
    features, weight = normal(90, inputs, dtype=dtype), normal(volume, inputs, outputs, dtype=dtype)
    bias, residual = normal(outputs), normal(131, outputs, dtype=dtype)
    arguments = (double(weight), double(bias), double(residual), True)
    expected = reference.sparse_convolution(double(features), torch.from_numpy(table), *arguments)
    result = ops.sparse_convolution(*place(device, features, table, weight, bias, residual), relu=True)
    assert_close(device.numpy(result), expected, dtype)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("has_residual", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_follows_the_sum_equals_the_reference(device, dtype, relu, has_bias, has_residual, transposed):
    table = draw_table(70, 60, 27)
    features, weight = normal(60, 16, dtype=dtype), normal(27, 16, 24, dtype=dtype)
    bias, residual = normal(24) if has_bias else None, normal(70, 24, dtype=dtype) if has_residual else None
    arguments = (double(weight), double(bias), double(residual), relu)
    expected = reference.sparse_convolution(double(features), torch.from_numpy(table), *arguments)
    if transposed:
        weight = np.ascontiguousarray(weight.transpose(0, 2, 1))
    arguments = place(device, features, table, weight, bias, residual)
    result = ops.sparse_convolution(*arguments, relu, transpose_weight=transposed)
    assert_close(device.numpy(result), expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_cloud_equals_the_reference(device, coords, dtype):
    table = reference.submanifold_table(torch.from_numpy(coords)).numpy()
    features, weight = normal(len(coords), 5, dtype=dtype), normal(27, 5, 8, dtype=dtype)
    expected = reference.sparse_convolution(double(features), torch.from_numpy(table), double(weight))
    assert_close(device.numpy(ops.sparse_convolution(*place(device, features, table, weight))), expected, dtype)


@pytest.mark.parametrize(("inputs", "outputs"), CHANNELS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_inverse_convolution_equals_the_reference(device, dtype, inputs, outputs):
    rng = np.random.default_rng(4)
    parent, offset = rng.integers(-1, 50, 333).astype(np.int32), rng.integers(0, 8, 333).astype(np.uint8)
    features, weight = normal(50, inputs, dtype=dtype), normal(8, inputs, outputs, dtype=dtype)
    bias, residual = normal(outputs), normal(333, outputs, dtype=dtype)
    parents = torch.from_numpy(parent), torch.from_numpy(offset)
    arguments = (double(weight), double(bias), double(residual), True)
    expected = reference.inverse_convolution(double(features), *parents, *arguments)
    placed = place(device, features, parent, offset, weight, bias, residual)
    assert_close(device.numpy(ops.inverse_convolution(*placed, relu=True)), expected, dtype)


@pytest.mark.parametrize("volume", VOLUMES)
@pytest.mark.parametrize(("inputs", "outputs"), CHANNELS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_equal_autograd_of_the_reference(device, dtype, inputs, outputs, volume):
    table = draw_table(97, 80, volume)
    for k in range(volume):  # an input feeds one output through each weight, or the table has no transpose
        cells, first = np.unique(table[:, k], return_index=True)
        table[:, k] = -1
        table[first, k] = cells
    features, weight = normal(80, inputs, dtype=dtype), normal(volume, inputs, outputs, dtype=dtype)
    gradient = normal(97, outputs, dtype=dtype, seed=1)
    leaves = double(features).requires_grad_(), double(weight).requires_grad_()
    result = reference.sparse_convolution(leaves[0], torch.from_numpy(table), leaves[1])
    to_features, to_weight = torch.autograd.grad(result, leaves, double(gradient))
    back = reference.transpose_table(torch.from_numpy(table), 80).numpy()
    data = ops.sparse_convolution(*place(device, gradient, back, weight), transpose_weight=True)
    assert_close(device.numpy(data), to_features, dtype)
    found = device.numpy(ops.weight_gradient(*place(device, features, gradient, table)))
    assert found.dtype == np.float32
    scale = max(1.0, to_weight.abs().max())
    np.testing.assert_allclose(found, to_weight.numpy(), rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gradient_of_many_rows_is_the_same_each_time(device, dtype):
    table = draw_table(5000, 3000, 3)
    features, gradient = normal(3000, 9, dtype=dtype), normal(5000, 7, dtype=dtype)
    arguments = place(device, features, gradient, table)
    found = device.numpy(ops.weight_gradient(*arguments))
    leaf = torch.zeros(3, 9, 7, dtype=torch.float64, requires_grad=True)
    result = reference.sparse_convolution(double(features), torch.from_numpy(table), leaf)
    (expected,) = torch.autograd.grad(result, leaf, double(gradient))
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-5 * expected.abs().max().item())
    np.testing.assert_array_equal(device.numpy(ops.weight_gradient(*arguments)), found)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n_out", "n_in"), [(0, 5), (0, 0), (3, 0), (64, 1), (65, 1)])
def test_few_or_no_rows(device, dtype, n_out, n_in):
    table = draw_table(n_out, n_in, 27)
    features, weight, bias = normal(n_in, 8, dtype=dtype), normal(27, 8, 16, dtype=dtype), normal(16)
    expected = reference.sparse_convolution(double(features), torch.from_numpy(table), double(weight), double(bias))
    assert_close(device.numpy(ops.sparse_convolution(*place(device, features, table, weight, bias))), expected, dtype)
    gradient = device.numpy(ops.weight_gradient(*place(device, features, normal(n_out, 16, dtype=dtype), table)))
    assert gradient.shape == (27, 8, 16)
    assert np.isfinite(gradient).all()
    if n_out == 0 or n_in == 0:
        assert not gradient.any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_not_a_number_stays_in_its_rows(device, dtype):
    table = np.array([[0, -1], [1, -1], [1, 2]], np.int32)
    features = np.array([[np.nan] * 8, [1] * 8, [np.inf] * 8], dtype)
    weight = np.ones((2, 8, 8), dtype)
    result = device.numpy(ops.sparse_convolution(*place(device, features, table, weight), relu=True))
    assert np.isnan(result[0]).all()
    np.testing.assert_array_equal(result[1], np.full(8, 8, dtype))
    assert np.isinf(result[2]).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_views_that_are_not_aligned_work(device, dtype):
    """Rows that begin anywhere rule out wide reads."""
    table = draw_table(50, 41, 8)
    weight, features = normal(8, 8, 16, dtype=dtype), normal(41, 8, dtype=dtype)
    padded = device.array(np.concatenate([np.zeros(1, dtype), features.reshape(-1)]))
    expected = reference.sparse_convolution(double(features), torch.from_numpy(table), double(weight))
    result = ops.sparse_convolution(padded[1:].reshape(41, 8), *place(device, table, weight))
    assert_close(device.numpy(result), expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_indices_that_do_not_exist_are_never_followed(device, dtype):
    if device.kind == "cpu":
        pytest.skip("on the CPU they are errors: test_convolution.py")
    table = np.array([[0, 2**31 - 1], [3, 1], [-(2**31), 2]], np.int32)
    clean = np.array([[0, -1], [-1, 1], [-1, 2]], np.int32)
    features, weight = normal(3, 8, dtype=dtype), normal(2, 8, 16, dtype=dtype)
    expected = ops.sparse_convolution(*place(device, features, clean, weight))
    result = ops.sparse_convolution(*place(device, features, table, weight))
    np.testing.assert_array_equal(device.numpy(result), device.numpy(expected))
    gradient = normal(3, 16, dtype=dtype)
    expected = ops.weight_gradient(*place(device, features, gradient, clean))
    result = ops.weight_gradient(*place(device, features, gradient, table))
    np.testing.assert_array_equal(device.numpy(result), device.numpy(expected))
    parent, offset = np.array([3, 1, -5], np.int32), np.array([0, 2, 255], np.uint8)
    assert not device.numpy(ops.inverse_convolution(*place(device, features, parent, offset, weight))).any()


@pytest.mark.large
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [32, 96, 128])
def test_a_large_cloud_equals_the_reference(device, dtype, channels):
    table = draw_table(300_000, 280_000, 27)
    features, weight = normal(280_000, channels, dtype=dtype), normal(27, channels, channels, dtype=dtype)
    result = device.numpy(ops.sparse_convolution(*place(device, features, table, weight)))
    rows = np.random.default_rng(0).integers(0, 300_000, 3000)
    expected = reference.sparse_convolution(double(features), torch.from_numpy(table[rows]), double(weight))
    assert_close(result[rows], expected, dtype)
