import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from perception import ops
from perception.ops import reference, reference_maps

CUBES = hnp.arrays(np.bool_, st.tuples(st.integers(1, 2), *[st.integers(1, 5)] * 3))
SIZES = [(1, 1, 1), (3, 3, 3), (5, 5, 5), (3, 3, 1), (1, 1, 3), (5, 1, 3), (1, 7, 1)]
WINDOWS = {  # size, stride, padding
    "k3 s2 p1": ((3, 3, 3), (2, 2, 2), (1, 1, 1)),
    "k3 s2 p0": ((3, 3, 3), (2, 2, 2), (0, 0, 0)),
    "k3 s2 p110": ((3, 3, 3), (2, 2, 2), (1, 1, 0)),
    "k113 s112": ((1, 1, 3), (1, 1, 2), (0, 0, 0)),
    "k2 s2": ((2, 2, 2), (2, 2, 2), (0, 0, 0)),
    "gaps": ((2, 1, 2), (3, 2, 5), (1, 0, 4)),
    "dense": ((3, 1, 2), (1, 1, 1), (1, 0, 1)),
}


@pytest.fixture(params=WINDOWS)
def window(request):
    return WINDOWS[request.param]


@pytest.fixture(scope="module")
def large():
    """300,000 voxels of three clouds, negative ones too, in no order."""
    rng = np.random.default_rng(8)
    points = np.concatenate([rng.integers(0, 3, (420_000, 1)), rng.normal(0, 45, (420_000, 3))], 1)
    distinct = np.unique(points.astype(np.int32), axis=0)[:300_000]
    assert len(distinct) == 300_000
    return np.ascontiguousarray(rng.permutation(distinct))


def shuffled(cubes, shift, random):
    rows = np.argwhere(cubes).astype(np.int32)
    rows[:, 1:] += shift
    order = list(range(len(rows)))
    random.shuffle(order)
    return np.ascontiguousarray(rows[order])


def brute_force(coords, out_coords, size, stride, padding):
    """Compare every output with every input."""
    table = np.full((len(out_coords), np.prod(size)), -1, np.int32)
    for out, voxel in enumerate(out_coords):
        steps = coords[:, 1:] - (voxel[1:] * stride - np.array(padding))
        inside = (coords[:, 0] == voxel[0]) & ((steps >= 0) & (steps < size)).all(1)
        table[out, steps[inside] @ [1, size[0], size[0] * size[1]]] = np.flatnonzero(inside)
    return table


def by_search(coords, wanted):
    """Rows of wanted voxels, by binary search."""
    bias, scale = np.array([0, 2**16, 2**16, 2**16]), np.array([2**51, 2**34, 2**17, 1])
    keys, looked_for = (coords + bias) @ scale, (wanted + bias) @ scale
    order = np.argsort(keys)
    place = np.minimum(np.searchsorted(keys[order], looked_for), len(keys) - 1)
    return np.where(keys[order][place] == looked_for, order[place], -1)


def outputs_of(coords, window, **more):
    return reference_maps.window_outputs(torch.from_numpy(coords), *window, **more).numpy()


@pytest.mark.parametrize("size", SIZES)
def test_submanifold_equals_the_reference(device, coords, threads, size):
    expected = reference.submanifold_table(torch.from_numpy(coords), size).numpy()
    found = device.numpy(ops.submanifold_table(device.array(coords), size, threads))
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=60, deadline=None)
@given(CUBES, st.integers(-4, 4), st.sampled_from(SIZES), st.randoms(use_true_random=False))
def test_submanifold_equals_brute_force(device, cubes, shift, size, random):
    coords = shuffled(cubes, shift, random)
    expected = brute_force(coords, coords, size, (1, 1, 1), np.array(size) // 2)
    np.testing.assert_array_equal(device.numpy(ops.submanifold_table(device.array(coords), size)), expected)


@pytest.mark.large
def test_submanifold_of_300000_voxels(device, large, threads):
    table = device.numpy(ops.submanifold_table(device.array(large), threads=threads))
    for k in range(27):
        step = [0, k % 3 - 1, k // 3 % 3 - 1, k // 9 - 1]
        np.testing.assert_array_equal(table[:, k], by_search(large, large + step))


@pytest.mark.parametrize("extent", [(1, 70, 70), (70, 70, 1), (2, 2, 2000), (9000, 1, 1)])
def test_neighbours_are_found_across_the_shares_of_threads(extent):
    rows = np.argwhere(np.random.default_rng(7).random((1, *extent)) < 0.7).astype(np.int32)
    coords = np.ascontiguousarray(np.random.default_rng(6).permutation(rows))
    for size in ((3, 3, 3), (5, 1, 3)):
        one = ops.submanifold_table(coords, size, threads=1)
        for threads in (2, 3, 4):
            np.testing.assert_array_equal(ops.submanifold_table(coords, size, threads), one)
    steps = np.array([[0, k % 3 - 1, k // 3 % 3 - 1, k // 9 - 1] for k in range(27)])
    expected = np.stack([by_search(coords, coords + step) for step in steps], 1)
    np.testing.assert_array_equal(ops.submanifold_table(coords, threads=3), expected)


def test_a_hash_of_the_voxels_serves_too(device, coords):
    rows = ops.CoordinateHash(device.array(coords))
    expected = reference.submanifold_table(torch.from_numpy(coords)).numpy()
    np.testing.assert_array_equal(device.numpy(ops.submanifold_table(rows)), expected)


@pytest.mark.parametrize("stride", [(2, 2, 2), (1, 1, 2), (3, 2, 1)])
def test_strided_equals_the_reference(device, coords, stride):
    level = reference.downsample(torch.from_numpy(coords), stride)
    expected = reference.strided_table(level.parent, level.offset, len(level.coords), int(np.prod(stride))).numpy()
    parent, offset = device.array(level.parent.numpy()), device.array(level.offset.numpy())
    np.testing.assert_array_equal(device.numpy(ops.strided_table(parent, offset, len(expected), stride)), expected)


def test_rows_without_a_parent_are_left_out(device):
    parent, offset = np.array([-1, 1, 0, -1], np.int32), np.array([0, 7, 1, 3], np.uint8)
    table = device.numpy(ops.strided_table(device.array(parent), device.array(offset), 3))
    expected = np.full((3, 8), -1)
    expected[1, 7], expected[0, 1] = 1, 2
    np.testing.assert_array_equal(table, expected)


def test_window_outputs_equal_the_reference(device, coords, window):
    expected = outputs_of(coords, window)
    if np.abs(expected[:, 1:] + 0.5).max(initial=0) > 65504:
        with pytest.raises(ValueError, match="an output voxel lies outside coordinates"):
            ops.window_outputs(device.array(coords), *window)
        return
    found = device.numpy(ops.window_outputs(device.array(coords), *window))
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("shape", [(13, 14, 9), (1, 1, 1), (14, 5, 6)])
def test_outputs_stay_inside_the_shape(device, window, shape):
    size, stride, padding = window
    rows = np.argwhere(np.random.default_rng(3).random((2, *shape)) < 0.3).astype(np.int32)
    coords = np.ascontiguousarray(np.random.default_rng(4).permutation(rows))
    found = device.numpy(ops.window_outputs(device.array(coords), *window, shape=shape))
    np.testing.assert_array_equal(found, outputs_of(coords, window, shape=shape))
    end = ops.output_shape(shape, size, stride, padding)
    dense = torch.zeros(2, 1, *shape)
    dense[(coords[:, 0], 0, *coords[:, 1:].T)] = 1
    if min(end) > 0:
        occupied = torch.nn.functional.conv3d(dense, torch.ones(1, 1, *size), stride=stride, padding=padding)[:, 0]
        assert occupied.shape[1:] == end
        assert sorted(found.tolist()) == torch.nonzero(occupied).tolist()


def test_window_table_equals_the_reference(device, coords, window, threads):
    level = reference.downsample(torch.from_numpy(coords), window[1]).coords
    outputs = np.concatenate([level.numpy(), np.array([[9, 0, 0, 0], [0, 65503, 0, -65504]], np.int32)])
    expected = reference_maps.window_table(torch.from_numpy(coords), torch.from_numpy(outputs), *window).numpy()
    found = device.numpy(ops.window_table(device.array(coords), device.array(outputs), *window, threads))
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=60, deadline=None)
@given(CUBES, st.integers(-4, 4), st.randoms(use_true_random=False), st.data())
def test_windows_equal_brute_force(device, cubes, shift, random, data):
    coords = shuffled(cubes, shift, random)
    axes = st.tuples(*[st.integers(1, 4)] * 3)
    size, stride, padding = data.draw(axes), data.draw(axes), data.draw(st.tuples(*[st.integers(0, 3)] * 3))
    outputs = device.numpy(ops.window_outputs(device.array(coords), size, stride, padding))
    np.testing.assert_array_equal(outputs, outputs_of(coords, (size, stride, padding)))
    found = device.numpy(ops.window_table(device.array(coords), device.array(outputs), size, stride, padding))
    np.testing.assert_array_equal(found, brute_force(coords, outputs, size, stride, padding))
    assert (found >= 0).any(1).all()
    back = device.numpy(ops.transpose_table(device.array(found), len(coords)))
    np.testing.assert_array_equal(back, reference.transpose_table(torch.from_numpy(found), len(coords)).numpy())


@pytest.mark.large
def test_windows_of_300000_voxels(device, large, threads):
    outputs = device.numpy(ops.window_outputs(device.array(large), 3, 2, 1))
    table = device.numpy(ops.window_table(device.array(large), device.array(outputs), 3, 2, 1, threads))
    for k in range(27):
        step = [k % 3 - 1, k // 3 % 3 - 1, k // 9 - 1]
        wanted = np.concatenate([outputs[:, :1], 2 * outputs[:, 1:] + step], 1)
        np.testing.assert_array_equal(table[:, k], by_search(large, wanted))
    assert (table >= 0).any(1).all()
    transposed = device.numpy(ops.transpose_table(device.array(table), len(large)))
    assert (transposed >= 0).sum() == (table >= 0).sum()


def test_the_capacity_may_be_exactly_reached(device):
    coords = device.array(np.array([[0, 0, 0, 0], [0, 5, 0, 0]], np.int32))
    assert len(ops.window_outputs(coords, 3, 1, 1, capacity=54)) == 54
    with pytest.raises(ValueError, match="there are more than 53 output voxels"):
        ops.window_outputs(coords, 3, 1, 1, capacity=53)
    assert len(ops.window_outputs(coords[:0], 3, 1, 1, capacity=0)) == 0


def test_outputs_out_of_range_are_an_error_unless_bounds_leave_them_out(device):
    coords = device.array(np.array([[0, 65503, 3, 3]], np.int32))
    with pytest.raises(ValueError, match="an output voxel lies outside coordinates"):
        ops.window_outputs(coords, 3, 1, 1)
    assert len(ops.window_outputs(coords, 3, 1, 1, shape=(65504, 9, 9))) == 18


def test_transposed_equals_the_reference_and_turns_back(device, coords):
    level = reference.downsample(torch.from_numpy(coords))
    strided = reference.strided_table(level.parent, level.offset, len(level.coords)).numpy()
    for original in (strided, reference.submanifold_table(torch.from_numpy(coords)).numpy()):
        transposed = device.numpy(ops.transpose_table(device.array(original), len(coords)))
        expected = reference.transpose_table(torch.from_numpy(original), len(coords)).numpy()
        np.testing.assert_array_equal(transposed, expected)
        back = ops.transpose_table(device.array(transposed), len(original))
        np.testing.assert_array_equal(device.numpy(back), original)


def test_weights_of_spconv_are_brought_into_the_order_of_the_tables():
    weight = np.arange(2 * 3 * 4).reshape(2, 3, 4)  # [kx, ky, kz]
    ordered = weight.reshape(-1)[ops.x_fastest_weights((2, 3, 4))]
    for x, y, z in np.ndindex(2, 3, 4):
        assert ordered[x + 2 * (y + 3 * z)] == weight[x, y, z]


@pytest.mark.parametrize("size", [0, 2, 9, -3, (3, 3, 2), 2**31 - 1])
def test_only_small_odd_kernels_exist(device, size):
    with pytest.raises(ValueError, match="kernel size must be 1, 3, 5 or 7"):
        ops.submanifold_table(device.array(np.zeros((1, 4), np.int32)), size)


def test_windows_that_make_no_sense_are_errors(device):
    coords = device.array(np.zeros((1, 4), np.int32))
    for size, stride, padding, message in (
        (0, 1, 0, "the size of a window must lie in 1..7"),
        (8, 1, 0, "the size of a window must lie in 1..7"),
        (3, 0, 0, "the stride of a window must lie in 1..64"),
        (3, (1, 1, 65), 0, "the stride of a window must lie in 1..64"),
        (3, 1, -1, "the padding of a window must lie in 0..64"),
        (3, 1, 65, "the padding of a window must lie in 0..64"),
        ((3, 3), 1, 0, r"kernel_size must be one number or three \(x, y, z\), found 2"),
        (3, 2**32 + 1, 0, "stride must fit int32"),
    ):
        with pytest.raises(ValueError, match=message):
            ops.window_outputs(coords, size, stride, padding)
        with pytest.raises(ValueError, match=message):
            ops.window_table(coords, coords, size, stride, padding)
    with pytest.raises(ValueError, match=r"the capacity\) must lie in 0..2147483647"):
        ops.window_outputs(coords, 3, capacity=-1)


def test_voxels_that_occur_twice_are_errors_on_the_cpu_only(device):
    coords = np.array([[0, 1, 1, 1], [0, 1, 1, 2], [0, 0, 0, 0], [0, 1, 1, 2], [0, 1, 1, 1]], np.int32)
    for call in (ops.submanifold_table, lambda c: ops.window_table(c, c, 3, 1, 1)):
        if device.kind == "cpu":
            with pytest.raises(ValueError, match="rows 1 and 3 are the same voxel"):
                call(coords)
        else:
            table = device.numpy(call(device.array(coords)))
            assert table.max() < len(coords)
            assert table[2].tolist().count(-1) == 25  # (0, 0, 0) has the neighbour (1, 1, 1)


OUT_OF_RANGE = [(-1, 0, 0, 0), (4096, 0, 0, 0), (0, 65504, 0, 0), (0, 0, 0, -(2**31)), (0, 2**31 - 1, 0, 0)]


@pytest.mark.parametrize("row", OUT_OF_RANGE)
def test_voxels_out_of_range_have_no_neighbours_on_a_gpu(device, row):
    if device.kind == "cpu":
        pytest.skip("on the CPU they are errors")
    coords = device.array(np.array([(0, 0, 0, 0), row], np.int32))
    expected = np.full((2, 27), -1)
    expected[0, 13] = 0
    np.testing.assert_array_equal(device.numpy(ops.submanifold_table(coords)), expected)
    np.testing.assert_array_equal(device.numpy(ops.window_table(coords, coords, 3, 1, 1)), expected)
    with pytest.raises(ValueError, match=r"row 1 \(batch .* lies outside batch 0\.\.4095"):
        ops.window_outputs(coords, 3, 2, 1)


@pytest.mark.parametrize("row", OUT_OF_RANGE)
def test_voxels_out_of_range_are_errors(row):
    coords = np.array([(0, 0, 0, 0), row], np.int32)
    for call in (
        ops.submanifold_table,
        lambda c: ops.window_table(c, c[:1], 3),
        lambda c: ops.window_table(c[:1], c, 3),
        lambda c: ops.window_outputs(c, 3, 2, 1),
    ):
        with pytest.raises(ValueError, match=r"row 1 \(batch .* lies outside batch 0\.\.4095"):
            call(coords)


def test_rows_that_do_not_exist_are_absent_on_a_gpu(device):
    if device.kind == "cpu":
        pytest.skip("on the CPU they are errors")
    parent, offset = np.array([0, 1, 7, -9, 0, 1], np.int32), np.array([0, 9, 0, 0, 0, 1], np.uint8)
    table = device.numpy(ops.strided_table(device.array(parent), device.array(offset), 2))
    assert np.argwhere(table >= 0).tolist() == [[0, 0], [1, 1]]
    assert table[0, 0] == 4  # the last of two
    table = np.array([[3, 0], [-7, 0], [1, -1]], np.int32)
    assert device.numpy(ops.transpose_table(device.array(table), 2)).tolist() == [[-1, 1], [2, -1]]
    counts = ops.voxel_counts(device.array(np.array([5, -7, 1], np.int32)), 2)
    assert device.numpy(counts).tolist() == [0, 1]


def test_rows_that_do_not_exist_are_errors():
    parent, offset = np.array([0, 1], np.int32), np.array([0, 0], np.uint8)
    with pytest.raises(ValueError, match="parent names a row that does not exist"):
        ops.strided_table(parent, offset, 1)
    with pytest.raises(ValueError, match="two rows have the same parent and offset"):
        ops.strided_table(parent * 0, offset, 1)
    with pytest.raises(ValueError, match="offset must lie in"):
        ops.strided_table(parent, offset + np.uint8(8), 2)
    with pytest.raises(ValueError, match="the kernel volume must lie in"):
        ops.strided_table(parent, offset, 2, 7)
    with pytest.raises(ValueError, match="the table names an input row that does not exist"):
        ops.transpose_table(np.array([[3]], np.int32), 3)
    with pytest.raises(ValueError, match="one weight uses an input row twice"):
        ops.transpose_table(np.array([[0], [0]], np.int32), 1)
