import numpy as np
import pytest
import torch

from perception import ops
from perception.ops import reference_bev as reference

GRID = ops.BevGrid((-4.0, -3.0, -1.0), (0.5, 0.25, 2.0), (17, 26, 1))
TWO_HEIGHTS = ops.BevGrid((-4.0, -3.0, -2.0), (0.5, 0.25, 2.0), (17, 26, 2))
TOLERANCE = {np.float32: 1e-5, np.float16: 2e-3}


def uniform(low, high, shape, seed=0):
    return np.random.default_rng([seed, *shape]).uniform(low, high, shape).astype(np.float32)


def frustum(cameras, depths, height, width, seed=0):
    """Points in and around the grids: float32 [cameras, D, h, w, 3]."""
    return uniform(-6, 6, (cameras, depths, height, width, 3), seed)


def assert_close(actual, expected, tolerance=1e-5):
    expected = expected.detach().numpy()
    assert actual.shape == expected.shape
    assert np.isfinite(actual).all()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * max(1.0, np.abs(expected).max(initial=0)))


def reference_cells(points, grid, samples=1):
    return reference.bev_cells(torch.from_numpy(points), grid, samples)


CASES = {
    "no cameras": (0, 3, 2, 2),
    "one point": (1, 1, 1, 1),
    "one pixel": (2, 9, 1, 1),
    "random": (2, 7, 5, 6),
    "odd": (4, 13, 3, 11),
}


@pytest.fixture(params=CASES)
def sizes(request):
    return CASES[request.param]


@pytest.fixture(params=[GRID, TWO_HEIGHTS], ids=["one height", "two heights"])
def grid(request):
    return request.param


@pytest.mark.parametrize("samples", [1, 2])
def test_the_plan_equals_the_reference(device, sizes, grid, samples, threads):
    if sizes[0] % samples:
        samples = 1
    points = frustum(*sizes)
    plan = device.numpy(ops.bev_plan(device.array(points), grid, samples, threads))
    expected = reference_cells(points, grid, samples).numpy()
    np.testing.assert_array_equal(plan.cells, expected)
    n_cells = samples * np.prod(grid.shape)
    np.testing.assert_array_equal(np.diff(plan.begins), np.bincount(expected[expected >= 0], minlength=n_cells))
    kept = np.flatnonzero(expected >= 0)
    np.testing.assert_array_equal(plan.order[: len(kept)], kept[np.argsort(expected[kept], kind="stable")])
    assert plan.begins[0] == 0
    assert (plan.order[len(kept) :] == -1).all()


def test_cells_truncate_towards_zero(device):
    grid = ops.BevGrid((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (2, 3, 4))
    along_x = [-1.0, np.nextafter(np.float32(-1), np.float32(0)), -0.5, 0.0, 0.999, 1.0, 1.999, 2.0, np.nan, np.inf]
    points = np.zeros((len(along_x), 3), np.float32)
    points[:, 0] = along_x
    cells = device.numpy(ops.bev_plan(device.array(points), grid)).cells
    np.testing.assert_array_equal(cells, [-1, 0, 0, 0, 0, 3, 3, -1, -1, -1])
    last = device.numpy(ops.bev_plan(device.array(np.array([[1.5, 2.5, 3.5]], np.float32)), grid)).cells
    assert last.tolist() == [2 * 3 * 4 - 1]


def test_the_grid_of_the_published_configuration():
    grid = ops.BevGrid.from_bounds([(-54.0, 54.0, 0.3), (-54.0, 54.0, 0.3), (-10.0, 10.0, 20.0)])
    assert grid.shape == (360, 360, 1)
    size = np.float32([0.30000001192092896, 0.30000001192092896, 20.0])
    np.testing.assert_array_equal(np.float32(grid.cell_size_m), size)
    np.testing.assert_array_equal(np.float32(grid.lower_m), np.float32([-53.849998474121094] * 2 + [0.0]) - size / 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("channels", [1, 3, 16, 33, 80])
def test_pooling_equals_the_reference(device, sizes, grid, channels, dtype, threads):
    points, features = frustum(*sizes), uniform(-1, 1, (*sizes, channels)).astype(dtype)
    plan = ops.bev_plan(device.array(points), grid)
    result = device.numpy(ops.bev_pool(device.array(features), plan, threads))
    expected = reference.bev_pool(torch.from_numpy(features).double(), reference_cells(points, grid), grid)
    assert result.dtype == dtype
    assert_close(result, expected, TOLERANCE[dtype])


def lift_inputs(sizes, channels, channels_last, dtype=np.float32):
    cameras, _, height, width = sizes
    context = uniform(-1, 1, (cameras, channels, height, width)).astype(dtype)
    depth = uniform(0, 1, sizes).astype(dtype)
    return depth, context, np.ascontiguousarray(context.transpose(0, 2, 3, 1)) if channels_last else context


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("channels", [1, 19, 80])
def test_lifting_equals_the_reference(device, sizes, grid, channels, channels_last, dtype, threads):
    points = frustum(*sizes)
    depth, context, laid_out = lift_inputs(sizes, channels, channels_last, dtype)
    plan = ops.bev_plan(device.array(points), grid)
    arguments = device.array(depth), device.array(laid_out), plan
    result = device.numpy(ops.lift_pool(*arguments, channels_last=channels_last, threads=threads))
    doubles = torch.from_numpy(depth).double(), torch.from_numpy(context).double()
    assert result.dtype == dtype
    assert_close(result, reference.lift_pool(*doubles, reference_cells(points, grid), grid), TOLERANCE[dtype])


def test_several_samples_have_a_map_each(device, grid):
    sizes = (6, 5, 3, 4)
    points = frustum(*sizes)
    depth, context, _ = lift_inputs(sizes, 8, False)
    plan = ops.bev_plan(device.array(points), grid, samples=3)
    result = device.numpy(ops.lift_pool(device.array(depth), device.array(context), plan))
    for sample in range(3):
        own = slice(2 * sample, 2 * sample + 2)
        alone = ops.bev_plan(device.array(points[own]), grid)
        expected = ops.lift_pool(device.array(depth[own]), device.array(context[own]), alone)
        np.testing.assert_array_equal(result[sample : sample + 1], device.numpy(expected))


@pytest.mark.parametrize("channels", [1, 19, 80])
def test_gradients_equal_the_reference(device, sizes, grid, channels, threads):
    points, cells = frustum(*sizes), reference_cells(frustum(*sizes), grid)
    plan = ops.bev_plan(device.array(points), grid)
    up = uniform(-1, 1, plan.map_shape(channels), seed=5)
    features = torch.from_numpy(uniform(-1, 1, (*sizes, channels))).double().requires_grad_()
    pooled = reference.bev_pool(features, cells, grid)
    (expected,) = torch.autograd.grad(pooled, features, torch.from_numpy(up).double())
    result = device.numpy(ops.bev_pool_gradient(device.array(up), plan, threads))
    assert_close(result, expected.reshape(-1, channels))


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("channels", [1, 19, 80])
def test_lift_gradients_equal_the_reference(device, sizes, grid, channels, channels_last, threads):
    points, cells = frustum(*sizes), reference_cells(frustum(*sizes), grid)
    plan = ops.bev_plan(device.array(points), grid)
    up = uniform(-1, 1, plan.map_shape(channels), seed=5)
    depth, context, laid_out = lift_inputs(sizes, channels, channels_last)
    leaves = [torch.from_numpy(values).double().requires_grad_() for values in (depth, context)]
    pooled = reference.lift_pool(*leaves, cells, grid)
    expected = torch.autograd.grad(pooled, leaves, torch.from_numpy(up).double())
    arguments = device.array(depth), device.array(laid_out), device.array(up), plan
    to_depth, to_context = device.numpy(
        ops.lift_pool_gradient(*arguments, channels_last=channels_last, threads=threads)
    )
    assert_close(to_depth, expected[0])
    assert_close(to_context, expected[1].permute(0, 2, 3, 1) if channels_last else expected[1])


def test_all_points_in_one_cell(device):
    sizes = (2, 40, 5, 7)
    points = np.full((*sizes, 3), 0.1, np.float32)
    depth, context, _ = lift_inputs(sizes, 32, False)
    plan = ops.bev_plan(device.array(points), GRID)
    result = device.numpy(ops.lift_pool(device.array(depth), device.array(context), plan))
    doubles = torch.from_numpy(depth).double(), torch.from_numpy(context).double()
    assert_close(result, reference.lift_pool(*doubles, reference_cells(points, GRID), GRID))


def test_no_point_in_the_grid(device):
    sizes = (2, 4, 2, 2)
    plan = ops.bev_plan(device.array(np.full((*sizes, 3), 100, np.float32)), GRID)
    depth, context, _ = lift_inputs(sizes, 5, False)
    assert not device.numpy(ops.lift_pool(device.array(depth), device.array(context), plan)).any()
    up = device.array(uniform(-1, 1, plan.map_shape(5)))
    for gradient in device.numpy(ops.lift_pool_gradient(device.array(depth), device.array(context), up, plan)):
        assert not gradient.any()


@pytest.mark.large
def test_a_third_of_a_million_points(device, threads):
    sizes = (3, 50, 40, 50)
    grid = ops.BevGrid((-6.0, -6.0, -6.0), (0.1, 0.1, 12.0), (120, 120, 1))
    points = frustum(*sizes)
    depth, context, _ = lift_inputs(sizes, 80, False)
    plan = ops.bev_plan(device.array(points), grid)
    result = device.numpy(ops.lift_pool(device.array(depth), device.array(context), plan, threads=threads))
    doubles = torch.from_numpy(depth).double(), torch.from_numpy(context).double()
    assert_close(result, reference.lift_pool(*doubles, reference_cells(points, grid), grid))


def test_the_number_of_threads_changes_nothing():
    sizes = (3, 20, 16, 22)
    plan = ops.bev_plan(frustum(*sizes), GRID)
    depth, context, _ = lift_inputs(sizes, 80, False)
    up = uniform(-1, 1, plan.map_shape(80))
    one, two, five = (
        (ops.lift_pool(depth, context, plan, threads=n), *ops.lift_pool_gradient(depth, context, up, plan, threads=n))
        for n in (1, 2, 5)
    )
    for first, *others in zip(one, two, five, strict=True):
        for other in others:
            np.testing.assert_array_equal(first, other)


def test_bad_calls_say_what_is_wrong(device):
    sizes = (2, 3, 2, 2)
    points = frustum(*sizes)
    depth, context, _ = lift_inputs(sizes, 4, False)
    depth, context, rows = device.array(depth), device.array(context), device.array(points)
    plan = ops.bev_plan(rows, GRID)
    up = device.array(np.zeros((1, 3, *GRID.shape[:2]), np.float32))
    for message, call in {
        "points must be float32": lambda: ops.bev_plan(device.array(points.astype(np.float64)), GRID),
        r"points must have the shape \[any, any, any, 3\]": lambda: ops.bev_plan(depth, GRID),
        "a multiple of the samples": lambda: ops.bev_plan(rows, GRID, samples=5),
        "the cell size must be positive": lambda: ops.bev_plan(rows, GRID._replace(cell_size_m=(1.0, 0.0, 1.0))),
        "the lower bound must be finite": lambda: ops.bev_plan(rows, GRID._replace(lower_m=(np.nan, 0.0, 1.0))),
        "at least 1 cell along each axis": lambda: ops.bev_plan(rows, GRID._replace(shape=(3, 0, 1))),
        "the plan is of 24 points, found 4": lambda: ops.bev_pool(device.array(np.zeros((4, 2), np.float32)), plan),
        "features must be float32 or float16": lambda: ops.bev_pool(device.array(np.zeros((24, 2), np.int32)), plan),
        r"context must have the shape \[2, any, 2, 2\]": lambda: ops.lift_pool(depth, depth[:1], plan),
        "context must be float16": lambda: ops.lift_pool(device.array(np.zeros(sizes, np.float16)), context, plan),
        "map_gradient must have 4 channels a plane, found 3": lambda: ops.lift_pool_gradient(depth, context, up, plan),
        "the number of channels must be at least 1": lambda: ops.bev_pool_gradient(
            device.array(np.zeros((1, 0, *GRID.shape[:2]), np.float32)), plan
        ),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()


def test_plans_that_lead_astray_are_errors_on_the_cpu_and_never_followed_on_a_gpu(device):
    sizes = (1, 3, 2, 2)
    plan = device.numpy(ops.bev_plan(device.array(np.full((*sizes, 3), 0.1, np.float32)), GRID))
    features, up = np.ones((12, 2), np.float32), np.ones((1, 2, *GRID.shape[:2]), np.float32)
    depth, context, _ = lift_inputs(sizes, 2, False)
    begins, order, cells = plan.begins.copy(), plan.order.copy(), plan.cells.copy()
    begins[begins == 12] = 1 << 30
    order[:2] = 12, -(1 << 31)
    cells[:2] = 442, (1 << 31) - 1

    def on_device(**changes):
        return plan._replace(
            **{name: device.array(changes.get(name, getattr(plan, name))) for name in ("begins", "order", "cells")}
        )

    calls = {
        "begins must lead from 0": (12, lambda: ops.bev_pool(device.array(features), on_device(begins=begins))),
        "order names a point": (10, lambda: ops.bev_pool(device.array(features), on_device(order=order))),
        "cells names a cell": (10, lambda: ops.bev_pool_gradient(device.array(up), on_device(cells=cells))),
        "that does not exist": (
            None,
            lambda: ops.lift_pool(device.array(depth), device.array(context), on_device(order=order)),
        ),
    }
    for message, (total, call) in calls.items():
        if device.kind == "cpu":
            with pytest.raises(ValueError, match=message):
                call()
        else:
            result = device.numpy(call())
            assert np.isfinite(result).all()
            assert total is None or result.sum() == 2 * total


def test_begins_that_descend_are_an_error_on_the_cpu():
    plan = ops.bev_plan(frustum(1, 3, 2, 2), GRID)
    begins = plan.begins.copy()
    begins[5] = 13
    with pytest.raises(ValueError, match="begins must ascend"):
        ops.bev_pool(np.zeros((12, 2), np.float32), plan._replace(begins=begins))
