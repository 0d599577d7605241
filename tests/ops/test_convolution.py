from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from perception import ops
from perception.ops import reference
from tests.ops.devices import run

# Relative to the largest result, float32 against float64: sums of up to 27 x 129 products, whose rounding errors add up
# to about sqrt(3483) x 6e-8 = 4e-6 of it.
TOLERANCE = 1e-5
CHANNELS = [(1, 1), (3, 5), (4, 8), (16, 16), (24, 20), (7, 33), (40, 25), (64, 96), (129, 31)]


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def double(array):
    return None if array is None else torch.from_numpy(array).double()


def assert_close(actual, expected):
    expected = expected.detach().numpy()
    assert actual.shape == expected.shape
    assert actual.dtype == np.float32
    scale = max(1.0, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE * scale)


@pytest.mark.parametrize(("inputs", "outputs"), CHANNELS)
def test_submanifold_equals_the_reference(device, coords, inputs, outputs, threads):
    table = ops.submanifold_table(coords)
    features, weight = normal(len(coords), inputs), normal(27, inputs, outputs)
    expected = reference.sparse_convolution(double(features), torch.from_numpy(table), double(weight))
    assert_close(run(ops.sparse_convolution, device, features, table, weight, threads=threads), expected)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("has_residual", [False, True])
def test_bias_residual_and_relu_equal_the_reference(device, coords, relu, has_bias, has_residual):
    table = ops.submanifold_table(coords)
    features, weight = normal(len(coords), 6), normal(27, 6, 19)
    bias = normal(19) if has_bias else None
    residual = normal(len(coords), 19) if has_residual else None
    arguments = (double(weight), double(bias), double(residual), relu)
    expected = reference.sparse_convolution(double(features), torch.from_numpy(table), *arguments)
    found = run(ops.sparse_convolution, device, features, table, weight, bias, residual, relu)
    assert_close(found, expected)


@pytest.mark.parametrize(("inputs", "outputs"), CHANNELS)
def test_down_and_up_equal_the_reference(device, coords, inputs, outputs, threads):
    level = ops.downsample(coords)
    table = ops.strided_table(level.parent, level.offset, len(level.coords))
    features, weight, bias = normal(len(coords), inputs), normal(8, inputs, outputs), normal(outputs)
    expected = reference.sparse_convolution(double(features), torch.from_numpy(table), double(weight))
    assert_close(run(ops.sparse_convolution, device, features, table, weight, threads=threads), expected)
    coarse, skip = normal(len(level.coords), inputs), normal(len(coords), outputs)
    parents = (torch.from_numpy(level.parent), torch.from_numpy(level.offset))
    expected = reference.inverse_convolution(
        double(coarse), *parents, double(weight), double(bias), double(skip), relu=True
    )
    arguments = (coarse, level.parent, level.offset, weight, bias, skip)
    assert_close(run(ops.inverse_convolution, device, *arguments, relu=True, threads=threads), expected)


def test_a_row_without_parent_keeps_only_bias(device):
    weight, bias = normal(8, 3, 4), normal(4)
    parent, offset = np.array([-1, 0], np.int32), np.array([200, 1], np.uint8)
    result = run(ops.inverse_convolution, device, normal(1, 3), parent, offset, weight, bias)
    np.testing.assert_array_equal(result[0], bias)


def test_large_kernels_and_single_weights(device, threads):
    coords = np.array([[0, x, y, z] for x in range(5) for y in range(4) for z in range(6)], np.int32)
    for size in (1, 5):
        table = ops.submanifold_table(coords, size)
        features, weight = normal(len(coords), 9), normal(size**3, 9, 10)
        expected = reference.sparse_convolution(double(features), torch.from_numpy(table), double(weight))
        assert_close(run(ops.sparse_convolution, device, features, table, weight, threads=threads), expected)


@pytest.mark.parametrize(("inputs", "outputs"), CHANNELS)
def test_gradients_equal_autograd_of_the_reference(device, coords, inputs, outputs, threads):
    table = ops.submanifold_table(coords)
    features, weight = normal(len(coords), inputs), normal(27, inputs, outputs)
    gradient = normal(len(coords), outputs, seed=1)
    leaves = double(features).requires_grad_(), double(weight).requires_grad_()
    result = reference.sparse_convolution(leaves[0], torch.from_numpy(table), leaves[1])
    to_features, to_weight = torch.autograd.grad(result, leaves, double(gradient))
    back = ops.transpose_table(table, len(coords))
    options = {"transpose_weight": True, "threads": threads}
    assert_close(run(ops.sparse_convolution, device, gradient, back, weight, **options), to_features)
    assert_close(run(ops.weight_gradient, device, features, gradient, table, threads=threads), to_weight)


@pytest.mark.large
@pytest.mark.parametrize("columns", [1, 27])
def test_300000_rows_equal_the_reference(device, columns):
    rng = np.random.default_rng(columns)
    table = rng.integers(-300_000, 300_000, (300_000, columns), dtype=np.int32).clip(-1)
    features, weight, gradient = normal(300_000, 5), normal(columns, 5, 9), normal(300_000, 9)
    leaf = double(weight).requires_grad_()
    expected = reference.sparse_convolution(double(features), torch.from_numpy(table), leaf)
    assert_close(run(ops.sparse_convolution, device, features, table, weight), expected)
    (to_weight,) = torch.autograd.grad(expected, leaf, double(gradient))
    assert_close(run(ops.weight_gradient, device, features, gradient, table), to_weight)


@pytest.fixture(params=[np.float32, np.float16])
def large_layer(request):
    def draw(channels, seed):
        rng = np.random.default_rng(seed)
        points = rng.normal(0, 6, (9000, 3)).astype(np.float32)
        table = ops.submanifold_table(ops.voxelize(points, 0.5).coords)
        features, weight = normal(len(table), channels, seed=seed), normal(27, channels, channels, seed=seed)
        return features.astype(request.param), table, weight.astype(request.param)

    return draw


def test_results_do_not_depend_on_the_number_of_threads(large_layer):
    features, table, weight = large_layer(40, 0)
    one = ops.sparse_convolution(features, table, weight, threads=1)
    gradient = ops.weight_gradient(features, one, table, threads=1)
    for threads in (2, 3, 5):
        np.testing.assert_array_equal(ops.sparse_convolution(features, table, weight, threads=threads), one)
        np.testing.assert_array_equal(ops.weight_gradient(features, one, table, threads=threads), gradient)


def test_layers_that_run_at_once_do_not_disturb_each_other(large_layer):
    layers = [large_layer(channels, channels) for channels in (4, 9, 16, 40)]
    alone = [ops.sparse_convolution(*layer, threads=1) for layer in layers]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            together = list(pool.map(lambda layer: ops.sparse_convolution(*layer, threads=2), layers))
            for found, expected in zip(together, alone, strict=True):
                np.testing.assert_array_equal(found, expected)


def test_not_a_number_stays_where_it_belongs(device):
    coords = np.array([[0, 0, 0, 0], [0, 1, 0, 0], [0, 9, 0, 0]], np.int32)
    features = np.array([[np.nan], [1], [1]], np.float32)
    table = ops.submanifold_table(coords)
    result = run(ops.sparse_convolution, device, features, table, normal(27, 1, 3), relu=True)
    assert np.isnan(result[:2]).all()
    assert np.isfinite(result[2]).all()


@pytest.mark.parametrize("row", [3, 2**31 - 1])
def test_inputs_that_do_not_exist_are_errors_on_the_cpu_and_absent_elsewhere(device, row, threads):
    table = np.full((300, 27), -1, np.int32)
    table[211, 4], table[200, 5] = row, 1
    features, weight, gradient = normal(3, 2), normal(27, 2, 2), normal(300, 2)
    absent = np.where(table < 3, table, -1)
    parent, offset = absent.max(1), np.full(300, 5, np.uint8)
    wrong_parent, wrong_offset = table.max(1), np.where(parent == 1, 5, 27).astype(np.uint8)
    for operation, wrong, right in (
        (ops.sparse_convolution, (features, table, weight), (features, absent, weight)),
        (ops.weight_gradient, (features, gradient, table), (features, gradient, absent)),
        (ops.inverse_convolution, (features, wrong_parent, offset, weight), (features, parent, offset, weight)),
        (ops.inverse_convolution, (features, np.zeros(300, np.int32), wrong_offset, weight), None),
    ):
        if device.kind == "cpu":
            with pytest.raises(ValueError, match="names an input row"):
                operation(*wrong, threads=threads)
        elif right is not None:
            expected = run(operation, device, *right)
            np.testing.assert_array_equal(run(operation, device, *wrong), expected)
        else:
            assert not run(operation, device, *wrong)[parent != 1].any()


def test_bad_arguments_are_named():
    features, table, weight = normal(3, 2), np.zeros((3, 27), np.int32), normal(27, 2, 4)
    call = ops.sparse_convolution
    with pytest.raises(ValueError, match=r"weight must have the shape \[any, 2, any\], found \[27, 3, 4\]"):
        call(features, table, normal(27, 3, 4))
    with pytest.raises(ValueError, match="the table has 27 columns, but there are 8 weights"):
        call(features, table, normal(8, 2, 4))
    with pytest.raises(ValueError, match=r"bias must have the shape \[4\]"):
        call(features, table, weight, normal(5))
    with pytest.raises(ValueError, match=r"residual must have the shape \[3, 4\]"):
        call(features, table, weight, None, normal(2, 4))
    with pytest.raises(ValueError, match=r"numbers of channels must lie in 1\.\.65536"):
        call(normal(3, 0), table, normal(27, 0, 4))
    with pytest.raises(ValueError, match=r"kernel volume must lie in 1\.\.4096"):
        call(features, np.zeros((3, 4097), np.int32), normal(4097, 2, 4))
    with pytest.raises(ValueError, match="features must be float32 or float16, found float64"):
        call(features.astype(np.float64), table, weight)
    with pytest.raises(ValueError, match="weight must be float16, found float32"):
        call(features.astype(np.float16), table, weight)
    with pytest.raises(ValueError, match="features must be contiguous"):
        call(normal(2, 3).T, table, weight)
    with pytest.raises(ValueError, match="number of threads must be at least 1"):
        call(features, table, weight, threads=0)
