import numpy as np
import pytest
import torch

from perception import ops
from perception.ops import autograd, reference

# Relative Frobenius error of float32 results and gradients against float64 autograd of the reference.
TOLERANCE = 2e-6


@pytest.fixture
def level(coords):
    return ops.downsample(coords)


def normal(*shape):
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator)


def assert_gradients_agree(native, plain, *leaves):
    """Run both on the same values, the plain one in float64, and compare results and all gradients."""
    singles = [leaf.clone().requires_grad_() for leaf in leaves]
    doubles = [leaf.double().requires_grad_() for leaf in leaves]
    result, expected = native(*singles), plain(*doubles)
    gradient = normal(*result.shape)
    found = [result, *torch.autograd.grad(result, singles, gradient)]
    wanted = [expected, *torch.autograd.grad(expected, doubles, gradient.double())]
    for actual, reference_value in zip(found, wanted, strict=True):
        assert actual.dtype == torch.float32
        error = (actual.double() - reference_value).norm() / reference_value.norm().clamp(min=1e-30)
        assert error < TOLERANCE


@pytest.mark.parametrize("submanifold", [False, True])
@pytest.mark.parametrize("channels", [(4, 6), (13, 32)])
def test_sparse_convolution(coords, channels, submanifold):
    table = ops.submanifold_table(coords)
    assert_gradients_agree(
        lambda f, w, b: autograd.sparse_convolution(f, table, w, b, submanifold=submanifold),
        lambda f, w, b: reference.sparse_convolution(f, torch.from_numpy(table), w, b),
        normal(len(coords), channels[0]),
        normal(27, *channels),
        normal(channels[1]),
    )


def test_down_and_up(coords, level):
    table = ops.strided_table(level.parent, level.offset, len(level.coords))
    parent, offset = torch.from_numpy(level.parent), torch.from_numpy(level.offset)
    assert_gradients_agree(
        lambda f, w: autograd.sparse_convolution(f, torch.from_numpy(table), w),
        lambda f, w: reference.sparse_convolution(f, torch.from_numpy(table), w),
        normal(len(coords), 5),
        normal(8, 5, 9),
    )
    assert_gradients_agree(
        lambda f, w, b: autograd.inverse_convolution(f, parent, offset, w, b),
        lambda f, w, b: reference.inverse_convolution(f, parent, offset, w, b),
        normal(len(level.coords), 5),
        normal(8, 5, 9),
        normal(9),
    )


def test_devoxelize_and_scatter_mean(coords, level):
    index = torch.arange(len(coords) * 3, dtype=torch.int32) % max(len(coords), 1) - 1
    points = np.clip(coords + np.array([0, 0.3, 0.2, 0.1]), -65503, 65503).astype(np.float32)
    indices, weights = (torch.from_numpy(array) for array in ops.trilinear_table(points, coords, 1))
    assert_gradients_agree(
        lambda f: autograd.devoxelize(f, indices, weights),
        lambda f: reference.devoxelize(f, indices, weights),
        normal(len(coords), 10),
    )
    assert_gradients_agree(
        lambda f: autograd.scatter_mean(f, index, len(coords)),
        lambda f: reference.scatter_mean(f, index, len(coords)),
        normal(len(index), 10),
    )


def test_tensors_that_are_not_contiguous_work():
    coords = np.array([[0, 0, 0, 0], [0, 1, 0, 0]], np.int32)
    table, features, weight = ops.submanifold_table(coords), normal(3, 2).t(), normal(27, 4, 3).transpose(1, 2)
    expected = reference.sparse_convolution(features, torch.from_numpy(table), weight)
    torch.testing.assert_close(autograd.sparse_convolution(features, table, weight), expected)


def test_float16_features_give_float32_gradients_of_weight_and_bias():
    coords = np.array([[0, 0, 0, 0], [0, 1, 0, 0]], np.int32)
    features = normal(2, 3).half().requires_grad_()
    weight, bias = normal(27, 3, 4).requires_grad_(), normal(4).requires_grad_()
    table = ops.submanifold_table(coords)
    result = autograd.sparse_convolution(features, table, weight, bias, submanifold=True)
    gradients = torch.autograd.grad(result, (features, weight, bias), normal(2, 4).half())
    assert [value.dtype for value in (result, *gradients)] == [torch.float16] * 2 + [torch.float32] * 2
    singles = [leaf.detach().float().requires_grad_() for leaf in (features, weight, bias)]
    expected = reference.sparse_convolution(singles[0], torch.from_numpy(table), *singles[1:])
    wanted = torch.autograd.grad(expected, singles, normal(2, 4).half().float())
    for found, value in zip((result, *gradients), (expected, *wanted), strict=True):
        torch.testing.assert_close(found.float(), value, rtol=1e-2, atol=1e-2)


@pytest.mark.gpu
def test_convolutions_on_cuda(device, coords, level):
    table = ops.submanifold_table(coords)
    assert_gradients_agree(
        lambda f, w: autograd.sparse_convolution(f.cuda(), device.array(table), w.cuda(), submanifold=True).cpu(),
        lambda f, w: reference.sparse_convolution(f, torch.from_numpy(table), w),
        normal(len(coords), 5),
        normal(27, 5, 9),
    )
    parents = [device.array(values) for values in (level.parent, level.offset)]
    assert_gradients_agree(
        lambda f, w: autograd.inverse_convolution(f.cuda(), *parents, w.cuda()).cpu(),
        lambda f, w: reference.inverse_convolution(f, *(values.cpu() for values in parents), w),
        normal(len(level.coords), 5),
        normal(8, 5, 9),
    )


def test_only_the_gradients_that_are_wanted_are_computed():
    coords = np.array([[0, 0, 0, 0], [0, 1, 0, 0]], np.int32)
    weight = normal(27, 2, 3).requires_grad_()
    autograd.sparse_convolution(normal(2, 2), ops.submanifold_table(coords), weight).sum().backward()
    assert weight.grad.shape == weight.shape
