"""Layers stored as float16: sums are float32, and a result is rounded once."""

import numpy as np
import pytest
import torch

from perception import ops
from perception.ops import reference
from tests.ops.devices import run

CHANNELS = [(1, 1), (3, 5), (4, 8), (24, 20), (40, 25), (64, 96), (129, 31)]
# Half a last place of float16, and the rounding of float32 sums of up to 27 x 129 products.
RELATIVE, ABSOLUTE = 2.0**-11, 1e-5


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float16)


def double(array):
    return torch.from_numpy(np.asarray(array, np.float64))


def assert_rounded(actual, expected):
    expected = expected.detach().numpy()
    assert actual.shape == expected.shape
    assert actual.dtype == np.float16
    scale = max(1.0, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(actual.astype(np.float64), expected, rtol=RELATIVE, atol=ABSOLUTE * scale)


@pytest.mark.parametrize(("inputs", "outputs"), CHANNELS)
def test_forward_equals_the_reference(device, coords, inputs, outputs, threads):
    table = ops.submanifold_table(coords)
    features, weight = normal(len(coords), inputs), normal(27, inputs, outputs)
    bias, residual = normal(outputs).astype(np.float32), normal(len(coords), outputs, seed=1)
    arguments = (double(weight), double(bias), double(residual), True)
    expected = reference.sparse_convolution(double(features), torch.from_numpy(table), *arguments)
    arguments = (features, table, weight, bias, residual)
    assert_rounded(run(ops.sparse_convolution, device, *arguments, relu=True, threads=threads), expected)


@pytest.mark.parametrize(("inputs", "outputs"), CHANNELS)
def test_inverse_equals_the_reference(device, coords, inputs, outputs, threads):
    level = ops.downsample(coords)
    features, weight = normal(len(level.coords), inputs), normal(8, inputs, outputs)
    parents = torch.from_numpy(level.parent), torch.from_numpy(level.offset)
    expected = reference.inverse_convolution(double(features), *parents, double(weight))
    found = run(ops.inverse_convolution, device, features, level.parent, level.offset, weight, threads=threads)
    assert_rounded(found, expected)


@pytest.mark.parametrize(("inputs", "outputs"), CHANNELS)
def test_gradients_equal_autograd_of_the_reference(device, coords, inputs, outputs, threads):
    table = ops.submanifold_table(coords)
    features, weight = normal(len(coords), inputs), normal(27, inputs, outputs)
    gradient = normal(len(coords), outputs, seed=1)
    leaves = double(features).requires_grad_(), double(weight).requires_grad_()
    result = reference.sparse_convolution(leaves[0], torch.from_numpy(table), leaves[1])
    to_features, to_weight = torch.autograd.grad(result, leaves, double(gradient))
    back = ops.transpose_table(table, len(coords))
    found = run(ops.sparse_convolution, device, gradient, back, weight, transpose_weight=True, threads=threads)
    assert_rounded(found, to_features)
    found = run(ops.weight_gradient, device, features, gradient, table, threads=threads)
    assert found.dtype == np.float32
    scale = max(1.0, to_weight.abs().max())
    np.testing.assert_allclose(found, to_weight.numpy(), rtol=0, atol=ABSOLUTE * scale)


def all_halves():
    return np.arange(1 << 16, dtype=np.uint16).view(np.float16)


@pytest.mark.parametrize("channels", [1, 16, 24])
def test_every_half_passes_unchanged(device, channels):
    halves = all_halves()[:, None]
    table = np.arange(len(halves), dtype=np.int32)[:, None]
    result = run(ops.sparse_convolution, device, halves, table, np.ones((1, 1, channels), np.float16))
    np.testing.assert_array_equal(result, np.broadcast_to(halves, result.shape))


@pytest.mark.parametrize("channels", [1, 16, 24])
def test_sums_are_rounded_to_the_nearest_even_half(device, channels):
    halves = all_halves()[:, None]
    table = np.arange(len(halves), dtype=np.int32)[:, None]
    residual = np.random.default_rng(channels).permutation(np.resize(halves, (len(halves), channels)))
    with np.errstate(all="ignore"):
        expected = (halves.astype(np.float32) + residual.astype(np.float32)).astype(np.float16)
    weight = np.ones((1, 1, channels), np.float16)
    result = run(ops.sparse_convolution, device, halves, table, weight, None, residual)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.large
def test_300000_rows_equal_the_reference(device):
    table = np.random.default_rng(0).integers(-300_000, 300_000, (300_000, 27), dtype=np.int32).clip(-1)
    features, weight = normal(300_000, 5), normal(27, 5, 9)
    expected = reference.sparse_convolution(double(features), torch.from_numpy(table), double(weight))
    assert_rounded(run(ops.sparse_convolution, device, features, table, weight), expected)
