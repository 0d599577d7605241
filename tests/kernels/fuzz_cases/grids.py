"""Voxels of bounded grids."""

from perception import ops


def fuzz_voxelize_hard(draw):
    points = draw.floats(draw.rows(), draw.integer(3, 6), scale=3)
    size = draw.choice(0.5, (0.5, 1.0, 6.0), 0.0)
    grid = ops.VoxelGrid((-3.0, -3.0, -3.0), (3.0, draw.choice(3.0, -4.0, 1e9), 3.0), size)
    most = draw.integer(0, 4), draw.integer(0, 20)
    wanted = {"with_points": draw.choice(True, False), "with_means": draw.choice(True, False)}
    ops.grid_cells(points, grid, clamp=draw.choice(True, False))
    ops.voxelize_hard(points, grid, *most, **wanted)
