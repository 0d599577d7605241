"""Order along windows, groups of equal size and positions against the plain reference."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from perception import ops
from perception.ops import reference_pillars


def cells(rows, batches, size, seed=0):
    """Distinct cells int32 [N, 3] of a map, in any order."""
    rng = np.random.default_rng([seed, rows])
    every = batches * size[0] * size[1]
    chosen = rng.choice(every, min(rows, every), replace=False)
    return np.stack(np.unravel_index(chosen, (batches, *size)), 1).astype(np.int32)


#: Cells, and the batch elements and size of their map.
MAPS = {
    "empty": (cells(0, 1, (10, 10)), 1, (10, 10)),
    "one": (np.array([[2, 30, 7]], np.int32), 3, (40, 9)),
    "random": (cells(700, 1, (60, 50)), 1, (60, 50)),
    "full": (cells(10**6, 2, (19, 26)), 2, (19, 26)),
    "batches": (cells(800, 5, (33, 70)), 5, (33, 70)),
    "narrow": (cells(60, 2, (1, 90)), 2, (1, 90)),
    "corners": (np.array([[0, y, x] for y in (467, 0) for x in (0, 467)], np.int32), 1, (468, 468)),
}


@pytest.fixture(params=MAPS)
def tokens(request):
    return MAPS[request.param]


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("window", [(13, 13), (9, 9), (1, 1), (4, 7), (200, 3)])
def test_order_equals_the_reference(device, tokens, window, shifted, axis, threads):
    coords, batches, size = tokens
    walk = ops.WindowWalk(batches, size, window, axis, shifted)
    order = device.numpy(ops.window_order(device.array(coords), walk, threads))
    np.testing.assert_array_equal(order, reference_pillars.window_order(torch.from_numpy(coords), walk).numpy())
    keys = device.numpy(ops.window_keys(device.array(coords), walk, threads))
    assert len(np.unique(keys)) == len(coords)
    np.testing.assert_array_equal(order, np.argsort(keys, kind="stable"))


def test_cells_that_occur_twice_come_in_order_of_their_rows(device):
    coords = np.repeat(cells(40, 2, (20, 20)), 3, axis=0)
    coords = coords[np.random.default_rng(0).permutation(120)]
    walk = ops.WindowWalk(2, (20, 20), (6, 6))
    order = device.numpy(ops.window_order(device.array(coords), walk))
    np.testing.assert_array_equal(order, reference_pillars.window_order(torch.from_numpy(coords), walk).numpy())


def test_maps_of_every_size_the_library_takes(device):
    for batches, size in ((1, (2**20, 2**20)), (2**20, (2**10, 2**10)), (2**31 - 1, (1, 1))):
        coords = np.array([[0, 0, 0], [batches - 1, size[0] - 1, size[1] - 1], [0, size[0] - 1, 0]], np.int32)
        for window in ((256, 256), (1, 65536), (65536, 1)):
            for axis in ("x", "y"):
                walk = ops.WindowWalk(batches, size, window, axis, shifted=True)
                order = device.numpy(ops.window_order(device.array(coords), walk))
                expected = reference_pillars.window_order(torch.from_numpy(coords), walk).numpy()
                np.testing.assert_array_equal(order, expected)


@pytest.mark.large
def test_300_000_cells(device):
    coords = cells(300_000, 3, (468, 468))
    walk = ops.WindowWalk(3, (468, 468), (13, 13), "y", shifted=True)
    orders = [device.numpy(ops.window_order(device.array(coords), walk, threads)) for threads in (1, 4)]
    np.testing.assert_array_equal(*orders)
    np.testing.assert_array_equal(orders[0], reference_pillars.window_order(torch.from_numpy(coords), walk).numpy())


@pytest.mark.parametrize("size", [1, 2, 69, 144, 1000])
@pytest.mark.parametrize(
    "counts", [[], [0], [1], [69], [70], [138], [500, 483], [0, 3, 0, 144, 145], [20, 1, 68, 300, 2], [40_000]]
)
def test_groups_equal_the_reference(device, counts, size):
    groups = device.numpy(ops.group_tokens(counts, size, like=device.array(np.zeros(1, np.float32))))
    flat2win, win2flat = reference_pillars.group_tokens(counts, size)
    np.testing.assert_array_equal(groups.flat2win, flat2win.numpy())
    np.testing.assert_array_equal(groups.win2flat, win2flat.numpy())
    np.testing.assert_array_equal(groups.flat2win[groups.win2flat], np.arange(sum(counts)))
    assert len(groups.flat2win) % size == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("half", [1, 5, 64])
def test_positions_equal_the_reference(device, half, dtype, threads):
    table = np.random.default_rng(1).standard_normal((30, half)).astype(np.float32)
    for rows in (0, 1, 777):
        coords = cells(rows, 2, (30, 28))
        features = np.random.default_rng(0).standard_normal((len(coords), 2 * half)).astype(dtype)
        arrays = (device.array(features), device.array(coords), device.array(table))
        result = device.numpy(ops.add_position(*arrays, threads))
        expected = reference_pillars.add_position(*(torch.from_numpy(x) for x in (features, coords, table))).numpy()
        np.testing.assert_array_equal(result, expected.astype(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_positions_are_added_to_columns_of_a_larger_array(device, dtype):
    coords, table = cells(100, 2, (30, 28)), np.random.default_rng(1).standard_normal((30, 5)).astype(np.float32)
    stacked = np.random.default_rng(0).standard_normal((len(coords), 30)).astype(dtype)
    where = device.array(coords), device.array(table)
    result = ops.add_position(device.array(stacked)[:, 7:17], *where)
    dense = ops.add_position(device.array(np.ascontiguousarray(stacked[:, 7:17])), *where)
    np.testing.assert_array_equal(device.numpy(result), device.numpy(dense))


WALK = ops.WindowWalk(1, (10, 10), (3, 3))
COORDS = np.array([[0, 1, 2], [0, 9, 9]], np.int32)
FEATURES, TABLE = np.zeros((2, 4), np.float32), np.zeros((10, 2), np.float32)
BAD_CALLS = {
    "cell 1 lies outside the map": lambda: ops.window_order(COORDS, replace(WALK, size=(10, 9))),
    "cell 0 lies outside the map": lambda: ops.window_keys(-COORDS, WALK),
    "a window must be at least one cell": lambda: ops.window_order(COORDS, replace(WALK, window=(0, 3))),
    "height and width must be at least 1": lambda: ops.window_order(COORDS, replace(WALK, size=(0, 10))),
    "the map has more than 2\\^40 cells": lambda: ops.window_order(COORDS, replace(WALK, size=(2**21, 2**20))),
    "a window has more than 65536 cells": lambda: ops.window_order(COORDS, replace(WALK, window=(257, 256))),
    "axis must be x or y, found 'z'": lambda: ops.window_order(COORDS, replace(WALK, axis="z")),
    "coords must be int32, found int64": lambda: ops.window_order(COORDS.astype(np.int64), WALK),
    "a count is negative": lambda: ops.group_tokens([3, -1], 4, like=COORDS),
    "the group size is below 1": lambda: ops.group_tokens([3], 0, like=COORDS),
    "more than 2147483647 slots": lambda: ops.group_tokens([2**31 - 1], 4, like=COORDS),
    "cell 1 lies outside the table": lambda: ops.add_position(FEATURES, COORDS, TABLE[:9]),
    "features must have the shape": lambda: ops.add_position(FEATURES[:, :3], COORDS, TABLE),
    "channels must be even, found 3": lambda: ops.sine_table(10, 3),
}


@pytest.mark.parametrize("message", BAD_CALLS)
def test_bad_calls_say_what_is_wrong(message):
    call = BAD_CALLS[message]
    with pytest.raises(ValueError, match=message):
        call()


def test_groups_lie_where_a_tensor_lies():
    torch = pytest.importorskip("torch")
    groups = ops.group_tokens([5, 3], 4, like=torch.zeros(1))
    expected = ops.group_tokens([5, 3], 4, like=np.zeros(1))
    np.testing.assert_array_equal(groups.flat2win, expected.flat2win)
