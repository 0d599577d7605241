import numpy as np
import pytest
import torch

from perception import ops
from perception.ops import autograd_bev, reference_bev

GRID = ops.BevGrid((-4.0, -3.0, -1.0), (1.0, 1.5, 2.0), (8, 5, 1))
SIZES = (2, 5, 3, 4)


@pytest.fixture
def points():
    return np.random.default_rng(0).uniform(-5, 5, (*SIZES, 3)).astype(np.float32)


def leaves(*shapes):
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(shape, generator=generator).requires_grad_() for shape in shapes]


def compare(ours, reference, inputs):
    up = torch.linspace(-1, 1, ours.numel()).reshape(ours.shape)
    torch.testing.assert_close(ours, reference)
    for mine, expected in zip(
        torch.autograd.grad(ours, inputs, up), torch.autograd.grad(reference, inputs, up), strict=True
    ):
        torch.testing.assert_close(mine, expected)


def test_pooling_is_differentiable(points):
    (features,) = leaves((*SIZES, 7))
    cells = reference_bev.bev_cells(torch.from_numpy(points), GRID)
    ours = autograd_bev.bev_pool(features, ops.bev_plan(points, GRID))
    compare(ours, reference_bev.bev_pool(features, cells, GRID), [features])


@pytest.mark.parametrize("channels_last", [False, True])
def test_lifting_is_differentiable(points, channels_last):
    depth, context = leaves(SIZES, (2, 7, 3, 4))
    cells = reference_bev.bev_cells(torch.from_numpy(points), GRID)
    laid_out = context.permute(0, 2, 3, 1) if channels_last else context
    ours = autograd_bev.lift_pool(depth, laid_out, ops.bev_plan(points, GRID), channels_last)
    compare(ours, reference_bev.lift_pool(depth, context, cells, GRID), [depth, context])


def test_half_precision_is_widened(points):
    depth, context = leaves(SIZES, (2, 7, 3, 4))
    plan = ops.bev_plan(points, GRID)
    result = autograd_bev.lift_pool(depth.half(), context.half(), plan)
    assert result.dtype == torch.float32
    result.sum().backward()
    assert depth.grad.abs().sum() > 0
