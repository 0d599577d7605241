"""What lies between the layers of a network, against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from perception import ops
from perception.ops import reference_rows
from tests.ops.devices import run

DTYPES = [np.float32, np.float16]
SHAPES = [(0, 3), (1, 1), (7, 5), (150, 16), (333, 33), (40, 300)]
# Odd bytes, and 16 a row: every unit that rows are copied in.
COLUMNS = [1, 2, 3, 4, 6, 8, 19, 32]


def normal(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def special(*shape, seed=0, dtype=np.float32):
    """Normal numbers, with zeros of both signs, infinities, NaN and the largest and smallest numbers among them."""
    values = normal(*shape, seed=seed)
    rng = np.random.default_rng([seed, 1, *shape])
    extreme = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 65504, -65504, 6e-8, 3e38, 1e-45], np.float32)
    chosen = rng.random(shape) < 0.2
    values[chosen] = rng.choice(extreme, chosen.sum())
    with np.errstate(over="ignore"):
        return values.astype(dtype)


def tensors(*arrays):
    return [torch.from_numpy(array) for array in arrays]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_adding_equals_the_reference(device, shape, relu, dtype, threads):
    a, b = special(*shape, dtype=dtype), special(*shape, seed=1, dtype=dtype)
    found = run(ops.add_rows, device, a, b, relu=relu, threads=threads)
    expected = reference_rows.add_rows(*(tensor.float() for tensor in tensors(a, b)), relu).to(tensors(a)[0].dtype)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected.numpy())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("which", [0, 1])
def test_adding_in_place(device, dtype, which):
    arrays = [device.array(normal(50, 17, seed=seed, dtype=dtype)) for seed in (0, 1)]
    expected = device.numpy(ops.add_rows(*arrays, relu=True))
    ops.add_rows(*arrays, relu=True, out=arrays[which])
    np.testing.assert_array_equal(device.numpy(arrays[which]), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [0, 1, 130])
@pytest.mark.parametrize("columns", [(1,), (3, 4), (8, 16, 24), (32, 32), (5, 1, 2, 3, 4, 6, 7, 300)])
def test_joining_equals_the_reference(device, columns, rows, dtype, threads):
    arrays = [special(rows, count, seed=i, dtype=dtype) for i, count in enumerate(columns)]
    found = device.numpy(ops.concatenate_columns([device.array(array) for array in arrays], threads=threads))
    np.testing.assert_array_equal(found, reference_rows.concatenate_columns(tensors(*arrays)).numpy())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("values", [0, 1, 60])
def test_taking_features_equals_the_reference(device, values, columns, dtype, threads):
    features = special(values, columns, dtype=dtype)
    for count in (0, 1, 700):
        rows = np.random.default_rng(3).integers(-1, max(values, 0), count).astype(np.int32)
        found = run(ops.take_rows, device, features, rows, threads=threads)
        np.testing.assert_array_equal(found, reference_rows.take_rows(*tensors(features, rows)).numpy())


@pytest.mark.parametrize("values", [0, 1, 60])
def test_composing_indices_equals_the_reference(device, values, threads):
    indices = np.random.default_rng(2).integers(-1, 9, values).astype(np.int32)
    rows = np.random.default_rng(3).integers(-1, values, 500).astype(np.int32)
    found = run(ops.take_rows, device, indices, rows, threads=threads)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, reference_rows.take_rows(*tensors(indices, rows)).numpy())


@pytest.mark.emulation
def test_rows_that_do_not_exist_are_absent_on_a_gpu(device):
    rows = np.array([0, 3, -2, 2**31 - 1, -(2**31)], np.int32)
    np.testing.assert_array_equal(run(ops.take_rows, device, normal(3, 2), rows)[1:], np.zeros((4, 2), np.float32))
    np.testing.assert_array_equal(run(ops.take_rows, device, np.arange(3, dtype=np.int32), rows), [0, -1, -1, -1, -1])


def test_every_half_becomes_the_same_float(device, threads):
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    np.testing.assert_array_equal(run(ops.cast, device, halves, np.float32, threads=threads), halves.astype(np.float32))


def test_rounding_to_halves_equals_numpy(device, threads):
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    halves = np.sort(halves[np.isfinite(halves)])
    between = halves[:-1] + (halves[1:] - halves[:-1]) / 2  # ties
    beside = [np.nextafter(between, np.float32(end)) for end in (-np.inf, np.inf)]
    limits = np.array([65519.99, 65520, 7e4, 1e30, np.inf, np.nan, 1e-45, 2.9e-8, 0.0], np.float32)
    values = np.concatenate([between, *beside, limits, -limits])
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16)
    found = run(ops.cast, device, values, np.float16, threads=threads)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found[found == 0]), np.signbit(expected[found == 0]))


@pytest.mark.parametrize("shape", [(0, 4), (7,), (700, 4), (40_000,)])
def test_integers_become_the_nearest_floats(device, shape, threads):
    limits = np.array([0, -1, 1 << 24, (1 << 24) + 1, -(1 << 24) - 3, (1 << 31) - 1, -(1 << 31)], np.int64)
    values = np.resize(limits, shape).astype(np.int32)
    found = run(ops.cast, device, values, np.float32, threads=threads)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, values.astype(np.float32))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0, 3), (5,), (3, 7, 11)])
def test_casting_to_the_same_type_copies(device, shape, dtype):
    values = normal(*shape, dtype=dtype)
    found = run(ops.cast, device, values, dtype)
    assert found is not values
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", [1, 2, 3, 4, 8, 15, 16, 17, 19, 32, 33, 100, 254, 255])
def test_best_class_equals_the_reference(device, classes, dtype, threads):
    for rows, scale in ((0, 1), (1, 1), (300, 1), (300, 30)):
        scores = (scale * normal(rows, classes)).astype(dtype)
        found = run(ops.best_class, device, scores, threads=threads)
        class_ids, probabilities = reference_rows.best_class(torch.from_numpy(scores).double())
        assert found.class_ids.dtype == np.uint8
        assert found.probabilities.dtype == np.float32
        np.testing.assert_array_equal(found.class_ids, class_ids.numpy())
        np.testing.assert_allclose(found.probabilities, probabilities.numpy(), rtol=4e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", [2, 7, 19, 40])
def test_the_lowest_class_wins_a_tie(device, classes, dtype):
    scores = np.random.default_rng(classes).integers(-2, 3, (500, classes)).astype(dtype)
    found = run(ops.best_class, device, scores)
    np.testing.assert_array_equal(found.class_ids, scores.argmax(1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", [1, 5, 16, 19, 255])
def test_scores_that_are_not_numbers_have_no_class(device, classes, dtype):
    scores = normal(7 * classes, classes, dtype=dtype)
    for row in range(classes):  # each class once
        scores[row, row] = np.nan
        scores[classes + row, row] = np.inf
        scores[2 * classes + row] = -np.inf
        scores[3 * classes + row, : row + 1] = -np.inf
        scores[4 * classes + row] = np.nan
        scores[5 * classes + row, row] = np.finfo(dtype).max
        scores[6 * classes + row, row] = np.finfo(dtype).min
    found = run(ops.best_class, device, scores)
    class_ids, probabilities = reference_rows.best_class(torch.from_numpy(scores).double())
    np.testing.assert_array_equal(found.class_ids, class_ids.numpy())
    np.testing.assert_allclose(found.probabilities, probabilities.numpy(), rtol=4e-6)
    assert (found.class_ids[: 3 * classes] == 255).all()
    assert not found.probabilities[: 3 * classes].any()


@pytest.mark.parametrize(("voxels", "points"), [(0, 0), (0, 5), (1, 1), (90, 3000)])
def test_spreading_labels_equals_the_reference(device, voxels, points, threads):
    rng = np.random.default_rng(5)
    class_ids = rng.integers(0, 256, voxels).astype(np.uint8)
    probabilities = rng.random(voxels, np.float32)
    inverse = rng.integers(-1, voxels + 20, points).astype(np.int32)
    inverse[: points // 100] = -(2**31)
    found = run(ops.spread_labels, device, class_ids, probabilities, inverse, threads=threads)
    expected = reference_rows.spread_labels(*tensors(class_ids, probabilities, inverse))
    for actual, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(actual, wanted.numpy())


@pytest.mark.large
def test_results_do_not_depend_on_the_number_of_threads():
    features, rows = normal(100_000, 19), np.random.default_rng(0).integers(-1, 100_000, 120_000).astype(np.int32)
    calls = {
        "add": lambda threads: ops.add_rows(features, features[::-1].copy(), True, threads=threads),
        "concatenate": lambda threads: ops.concatenate_columns([features, features], threads=threads),
        "take": lambda threads: ops.take_rows(features, rows, threads=threads),
        "cast": lambda threads: ops.cast(features, np.float16, threads=threads),
        "class": lambda threads: ops.best_class(features, threads=threads).class_ids,
        "probability": lambda threads: ops.best_class(features, threads=threads).probabilities,
    }
    for name, call in calls.items():
        np.testing.assert_array_equal(call(1), call(3), err_msg=name)


ROWS, HALVES, INDICES = np.ones((4, 3), np.float32), np.ones((4, 3), np.float16), np.arange(4, dtype=np.int32)
BYTES = np.zeros(4, np.uint8)
BAD_CALLS = {
    "b must have the shape": lambda: ops.add_rows(ROWS, ROWS[:3]),
    "b must be float32, found float16": lambda: ops.add_rows(ROWS, HALVES),
    "a must be float32 or float16, found int32": lambda: ops.add_rows(INDICES, INDICES),
    "joins 1 to 8 arrays, found 0": lambda: ops.concatenate_columns([]),
    "joins 1 to 8 arrays, found 9": lambda: ops.concatenate_columns([ROWS] * 9),
    r"arrays\[1\] must have the shape \[4, any\]": lambda: ops.concatenate_columns([ROWS, ROWS[:3]]),
    r"arrays\[1\] must be float32": lambda: ops.concatenate_columns([ROWS, HALVES]),
    "the bytes of a row must lie in": lambda: ops.concatenate_columns([ROWS, ROWS[:, :0]]),
    "rows must be int32": lambda: ops.take_rows(ROWS, INDICES.astype(np.int64)),
    "rows names a row that does not exist": lambda: ops.take_rows(ROWS[:3], INDICES),
    "values must be float32 or float16, found uint8": lambda: ops.take_rows(BYTES, INDICES),
    "dtype must be float32 or float16, found float64": lambda: ops.cast(ROWS, np.float64),
    "values must be float32 or float16, found int32": lambda: ops.cast(INDICES, np.float16),
    "the number of classes must lie in 1..255": lambda: ops.best_class(np.ones((2, 256), np.float32)),
    "scores must be float32 or float16": lambda: ops.best_class(INDICES),
    "probabilities must have the shape": lambda: ops.spread_labels(BYTES, np.ones(3, np.float32), INDICES),
    "class_ids must be uint8": lambda: ops.spread_labels(INDICES, np.ones(4, np.float32), INDICES),
    "out must not overlap an input": lambda: ops.take_rows(ROWS, INDICES, out=ROWS),
}


@pytest.mark.parametrize("message", BAD_CALLS)
def test_bad_calls_say_what_is_wrong(message):
    with pytest.raises(ValueError, match=message):
        BAD_CALLS[message]()
