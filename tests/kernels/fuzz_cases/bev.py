"""BEV pooling and depth images."""

import numpy as np

from perception import ops


def _plan(draw, samples, points):
    shape = (draw.integer(1, 9), draw.integer(1, 9), draw.integer(1, 3))
    grid = ops.BevGrid((-2.0, -2.0, -1.0), (draw.choice(0.5, 1.0, 0.0), 0.7, 1.5), shape)
    return ops.bev_plan(draw.floats(points, 3, scale=2), grid, samples)


def fuzz_bev_pool(draw):
    samples = draw.integer(1, 3)
    plan, channels = _plan(draw, samples, samples * draw.rows()), draw.channels()
    points = len(plan.cells)
    ops.bev_pool(draw.floats(points, channels, dtype=draw.choice(np.float32, np.float16)), plan)
    ops.bev_pool_gradient(draw.floats(*plan.map_shape(channels)), plan)


def fuzz_bev_pool_of_a_damaged_plan(draw):
    plan, channels = _plan(draw, 1, draw.rows()), draw.channels()
    order = draw.integers(len(plan.order), -1, len(plan.order) - 1)
    ops.bev_pool(draw.floats(len(plan.cells), channels), plan._replace(order=order))
    begins = draw.integers(len(plan.begins), 0, len(plan.order))
    ops.bev_pool(draw.floats(len(plan.cells), channels), plan._replace(begins=begins))


def fuzz_gradients_of_a_damaged_plan(draw):
    plan, channels = _plan(draw, 1, 60), draw.channels()
    cells = draw.integers(60, -1, len(plan.begins) - 2)
    gradient = draw.floats(*plan.map_shape(channels))
    ops.bev_pool_gradient(gradient, plan._replace(cells=cells))
    depth, context = draw.floats(3, 5, 2, 2), draw.floats(3, channels, 2, 2)
    ops.lift_pool_gradient(depth, context, gradient, plan._replace(cells=cells))


def fuzz_lift_pool(draw):
    cameras, depths, height, width = draw.integer(1, 3), draw.integer(1, 9), draw.integer(1, 6), draw.integer(1, 6)
    plan, channels = _plan(draw, 1, cameras * depths * height * width), draw.channels()
    dtype, last = draw.choice(np.float32, np.float16), draw.choice(True, False)
    shape = (cameras, height, width, channels) if last else (cameras, channels, height, width)
    depth, context = draw.floats(cameras, depths, height, width, dtype=dtype), draw.floats(*shape, dtype=dtype)
    ops.lift_pool(depth, context, plan, channels_last=last)
    gradient = draw.floats(*plan.map_shape(channels))
    ops.lift_pool_gradient(depth, context, gradient, plan, channels_last=last)


def fuzz_depth_images(draw):
    cameras = draw.integer(0, 3)
    points, matrices = draw.floats(draw.rows(), draw.integer(3, 5), scale=20), draw.floats(cameras, 4, 4, scale=3)
    augmentation = draw.choice(None, draw.floats(cameras, 4, 4))
    ops.depth_images(points, matrices, augmentation, (draw.integer(1, 20), draw.integer(1, 20)))
