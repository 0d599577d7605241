import numpy as np
import pytest
import torch

from perception import ops
from perception.ops import reference, reference_voxels

GRID = ops.VoxelGrid((-4.0, -6.0, -1.0), (4.0, 6.0, 2.0), (0.25, 0.5, 1.0))
FEW, MANY = (3, 40), (35, 100000)  # max_points, max_voxels
TOLERANCE = 1e-6


def random_points(rows, channels=5, seed=0):
    """Points of which some lie outside the grid: float32 [N, C]."""
    points = np.random.default_rng([seed, rows]).normal(0, 2.5, (rows, channels))
    return points.astype(np.float32)


def assert_equals_the_reference(found, points, grid, limits, batch=0):
    cells = reference_voxels.grid_cells(torch.from_numpy(points), *grid)
    expected = reference_voxels.voxelize_hard(torch.from_numpy(points), cells, *limits, batch)
    for name in ("coords", "point_counts", "points"):
        assert getattr(found, name).dtype == getattr(expected, name).numpy().dtype, name
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name).numpy(), err_msg=name)
    np.testing.assert_allclose(found.means, expected.means.numpy(), rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("rows", [0, 1, 2, 700, 30000])
@pytest.mark.parametrize("limits", [(1, 1), FEW, MANY])
def test_hard_voxels_equal_the_reference(rows, limits, threads, device):
    points = random_points(rows)
    found = device.numpy(ops.voxelize_hard(device.array(points), GRID, *limits, batch=3, threads=threads))
    assert_equals_the_reference(found, points, GRID, limits, batch=3)


@pytest.mark.large
def test_hard_voxels_of_many_points_equal_the_reference(threads, device):
    points, grid = random_points(300000, 4), ops.VoxelGrid((-9, -9, -9), (9, 9, 9), 0.1)
    found = device.numpy(ops.voxelize_hard(device.array(points), grid, 10, 60000, threads=threads))
    assert_equals_the_reference(found, points, (*grid[:2], [0.1] * 3), (10, 60000))


def test_capacities_reached_exactly_drop_nothing(device):
    points = device.array(np.repeat(np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0]]), [4, 2, 4], 0))
    found = device.numpy(ops.voxelize_hard(points, GRID, 4, 3))
    assert found.point_counts.tolist() == [4, 2, 4]
    fewer = device.numpy(ops.voxelize_hard(points, GRID, 3, 2))
    assert fewer.point_counts.tolist() == [3, 2]
    np.testing.assert_array_equal(fewer.coords, found.coords[:2])


def test_points_of_a_kept_voxel_still_count_when_no_voxel_is_left(device):
    points = device.array(np.float32([[0, 0, 0], [1, 0, 0], [0, 0, 0]]))
    assert device.numpy(ops.voxelize_hard(points, GRID, 5, 1)).point_counts.tolist() == [2]


def test_all_points_in_one_voxel(device):
    points = np.full((500, 3), 0.1, np.float32)
    found = device.numpy(ops.voxelize_hard(device.array(points), GRID, 7, 9))
    assert found.coords.tolist() == [[0, 16, 12, 1]]
    np.testing.assert_array_equal(found.points, np.full((1, 7, 3), 0.1, np.float32))


def test_no_point_inside_the_grid(device):
    assert len(ops.voxelize_hard(device.array(np.full((9, 3), 100, np.float32)), GRID, 7, 9).coords) == 0


def test_only_what_is_wanted_is_made(device):
    found = ops.voxelize_hard(device.array(random_points(100)), GRID, *FEW, with_points=False, with_means=False)
    assert found.points is None
    assert found.means is None
    assert len(found.coords)


@pytest.mark.parametrize("clamp", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 20000])
def test_grid_cells_equal_the_reference(rows, clamp, threads, device):
    points = random_points(rows)
    points[:3, 0] = [-4.0, 4.0, 1e30][: min(rows, 3)]
    expected = reference_voxels.grid_cells(torch.from_numpy(points), *GRID, clamp=clamp)
    found = ops.grid_cells(device.array(points), GRID, clamp=clamp, threads=threads)
    np.testing.assert_array_equal(device.numpy(found), expected.numpy())


def test_an_edge_per_axis(device):
    points, sizes = random_points(3000), (0.3, 0.5, 1.1)
    there, expected = device.array(points), reference.voxelize(torch.from_numpy(points), sizes)
    for found, wanted in zip(device.numpy(ops.voxelize(there, sizes)), expected, strict=True):
        np.testing.assert_array_equal(found, wanted.numpy())
    expected = reference.quantize(torch.from_numpy(points), sizes).numpy()
    np.testing.assert_array_equal(device.numpy(ops.quantize(there, sizes)), expected)
    same = device.numpy(ops.quantize(there, [0.3] * 3))
    np.testing.assert_array_equal(device.numpy(ops.quantize(there, 0.3)), same)


def test_rows_of_a_message_need_no_copy():
    points = random_points(1000, 4)
    message = np.zeros(1000, [("point", "<f4", 4), ("odd", "u1", 3)])  # 19 bytes a row: unaligned
    message["point"] = points
    found = ops.voxelize_hard(message["point"], GRID, *FEW)
    assert_equals_the_reference(found, points, GRID, FEW)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_point_that_is_no_number_is_named(bad, threads):
    points = random_points(20000)
    points[[12345, 15000], 2] = bad
    for call in (
        lambda: ops.grid_cells(points, GRID, threads=threads),
        lambda: ops.voxelize(points, 0.1, threads=threads),
        lambda: ops.voxelize_hard(points, GRID, *FEW, threads=threads),
    ):
        with pytest.raises(ValueError, match="point 12345 is NaN or infinite; remove such points first"):
            call()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_gpu_says_so_too_where_it_gives_a_count(bad, device):
    points = random_points(20000)
    points[[12345, 15000], 2] = bad
    for call in (
        lambda: ops.voxelize(device.array(points), 0.1),
        lambda: ops.voxelize_hard(device.array(points), GRID, *FEW),
    ):
        with pytest.raises(ValueError, match="point 12345 is NaN or infinite; remove such points first"):
            call()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_elsewhere_a_gpu_marks_a_point_that_is_no_number(bad, device):
    if device.kind == "cpu":
        pytest.skip("an error on the CPU")
    points = random_points(100)
    points[3, 1] = bad
    for clamp in (False, True):
        cells = device.numpy(ops.grid_cells(device.array(points), GRID, clamp=clamp))
        assert cells[3].tolist() == [-1, -1, -1]
    assert device.numpy(ops.quantize(device.array(points), 0.1))[3].tolist() == [-(2**31)] * 3


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (GRID._replace(voxel_size_m=0), "voxel size must be a positive number"),
        (GRID._replace(voxel_size_m=(0.1, 0.1, np.nan)), "voxel size must be a positive number"),
        (GRID._replace(voxel_size_m=(0.1, 0.1)), "voxel_size_m must be one number or three, found 2"),
        (GRID._replace(voxel_size_m=1e-6), "an axis of the grid must have 1 to 65503 cells"),
        (GRID._replace(voxel_size_m=100), "an axis of the grid must have 1 to 65503 cells"),
        (GRID._replace(high_m=GRID.low_m), "the upper ends of the grid must lie above the lower ones"),
        (GRID._replace(high_m=(4, 6, np.inf)), "the upper ends of the grid must lie above the lower ones"),
    ],
)
def test_a_bad_grid_is_an_error(grid, message):
    for call in (
        lambda: ops.grid_cells(random_points(3), grid),
        lambda: ops.voxelize_hard(random_points(3), grid, 1, 1),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_points": 0}, "the number of points that a voxel keeps must be at least 1"),
        ({"max_points": -1}, "the number of points that a voxel keeps must be at least 1"),
        ({"max_voxels": 0}, "the number of voxels that are kept must be at least 1"),
        ({"batch": 4096}, r"the batch must lie in 0\.\.4095"),
        ({"points": np.zeros((3, 2), np.float32)}, "at least the columns x, y, z"),
        ({"points": np.zeros((3, 3))}, "points must be float32, found float64"),
        ({"points": np.zeros((3, 6), np.float32)[:, ::2]}, "side by side"),
    ],
)
def test_bad_calls_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        ops.voxelize_hard(**({"points": random_points(3), "grid": GRID, "max_points": 1, "max_voxels": 1} | arguments))


def test_voxels_of_the_official_bevfusion(shared, golden, device):
    spec, _, outputs = golden.load_case(shared / "golden" / "bevfusion" / "lidar_encoder")
    settings = spec["config"]["encoders"]["lidar"]["voxelize"]
    low, high = np.float32(spec["input"]["point_range"]).reshape(2, 3)
    (file,) = (shared / "data" / "nuscenes_sample").glob("**/*LIDAR_TOP*.bin")
    points = np.fromfile(file, np.float32).reshape(-1, 5)
    points[:, 4] = 0  # time: a single sweep
    points = points[((points[:, :3] > low) & (points[:, :3] < high)).all(1)]
    grid = ops.VoxelGrid(low, high, settings["voxel_size"])
    limits = (settings["max_num_points"], settings["max_voxels"][1])
    found = device.numpy(ops.voxelize_hard(device.array(points), grid, *limits, with_points=False))
    np.testing.assert_array_equal(found.coords[:, 1:], outputs["voxel_coords"])
    np.testing.assert_array_equal(found.point_counts, outputs["voxel_num_points"])
    assert golden.relative_error(found.means, outputs["voxel_features"]) < spec["tolerance"]["relative_error"]


def test_pillars_of_the_official_flatformer(shared, golden, device):
    spec, inputs, outputs = golden.load_case(shared / "golden" / "flatformer" / "ops")
    settings = spec["config"]["voxel_layer"]
    low, high = settings["point_cloud_range"][:3], settings["point_cloud_range"][3:]
    grid = ops.VoxelGrid(low, high, settings["voxel_size"])
    cells = ops.grid_cells(device.array(inputs["voxel_points"]), grid, clamp=True)
    np.testing.assert_array_equal(device.numpy(cells)[:, ::-1], outputs["voxel_coords"])
