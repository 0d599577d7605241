"""Gated convolutions along sequences against the plain reference."""

import numpy as np
import pytest
import torch

from perception import ops
from perception.ops import reference_pillars

#: Relative to the largest result of the case.
TOLERANCE = {np.float32: 1e-6, np.float16: 1e-3}


def normal(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def permutation(rows):
    return np.random.default_rng(rows).permutation(rows).astype(np.int32)


def expected_result(gated, order, counts, kernel):
    tensors = (torch.from_numpy(gated).double(), torch.from_numpy(order), counts, torch.from_numpy(kernel).double())
    return reference_pillars.sequence_convolution(*tensors).numpy()


def check(device, counts, channels, size, dtype=np.float32, threads=2, scale=1):
    rows = sum(counts)
    gated, kernel, order = normal(rows, 2 * channels) * scale, normal(size, channels, seed=1), permutation(rows)
    gated = gated.astype(dtype)
    arrays = (device.array(gated), device.array(order))
    result = device.numpy(ops.sequence_convolution(*arrays, counts, device.array(kernel), threads=threads))
    expected = expected_result(gated, order, counts, kernel)
    assert result.dtype == dtype
    assert result.shape == expected.shape
    largest = TOLERANCE[dtype] * np.abs(expected).max(initial=1)
    np.testing.assert_allclose(result.astype(np.float64), expected, rtol=0, atol=largest)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("channels", [1, 2, 5, 8, 16, 31, 32, 33, 64, 100])
def test_rows_of_every_width_equal_the_reference(device, dtype, channels, threads):
    check(device, [150, 83], channels, 9, dtype, threads)


@pytest.mark.parametrize("size", [1, 3, 9, 31])
@pytest.mark.parametrize("counts", [[], [0], [1], [0, 2, 0, 3], [127, 129, 128], [1] * 9, [700]])
def test_sequences_do_not_meet(device, counts, size):
    check(device, counts, 12, size)


def test_gates_of_any_size(device):
    check(device, [60], 16, 5, scale=1000)


def test_rows_in_sequence_need_no_order(device):
    gated, kernel = normal(70, 16), normal(3, 8)
    plain = device.numpy(ops.sequence_convolution(device.array(gated), None, [70], device.array(kernel)))
    ordered = device.array(np.arange(70, dtype=np.int32))
    same = device.numpy(ops.sequence_convolution(device.array(gated), ordered, [70], device.array(kernel)))
    np.testing.assert_array_equal(plain, same)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_a_number_stays_near(device, value):
    gated, kernel = normal(40, 16), normal(5, 8)
    gated[10, 3] = value
    result = device.numpy(ops.sequence_convolution(device.array(gated), None, [40], device.array(kernel)))
    reached = np.zeros((40, 8), bool)
    reached[8:13, 3] = True
    np.testing.assert_array_equal(~np.isfinite(result), reached)


@pytest.mark.large
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_300_000_rows_at_any_number_of_threads(device, dtype):
    counts, order = [200_000, 100_000], permutation(300_000)
    gated, kernel = normal(300_000, 64, dtype=dtype), normal(9, 32)
    arrays = (device.array(gated), device.array(order), counts, device.array(kernel))
    results = [device.numpy(ops.sequence_convolution(*arrays, threads=threads)) for threads in (1, 4)]
    np.testing.assert_array_equal(*results)
    expected = expected_result(gated, order, counts, kernel)
    largest = TOLERANCE[dtype] * np.abs(expected).max()
    np.testing.assert_allclose(results[0].astype(np.float64), expected, rtol=0, atol=largest)


GATED, KERNEL = np.zeros((20, 8), np.float32), np.zeros((3, 4), np.float32)
BAD_CALLS = {
    "counts must add up to the tokens": lambda: ops.sequence_convolution(GATED, None, [19], KERNEL),
    "must add up": lambda: ops.sequence_convolution(GATED, None, [-1, 21], KERNEL),
    "kernel_size must be odd": lambda: ops.sequence_convolution(GATED, None, [20], KERNEL[:2]),
    "and lie in 1..31": lambda: ops.sequence_convolution(GATED, None, [20], np.zeros((33, 4), np.float32)),
    "gated must have the shape": lambda: ops.sequence_convolution(GATED[:, :7].copy(), None, [20], KERNEL),
    "kernel must be float32": lambda: ops.sequence_convolution(GATED, None, [20], KERNEL.astype(np.float16)),
    "gated must be float32 or float16": lambda: ops.sequence_convolution(GATED.astype(int), None, [20], KERNEL),
    "order must hold every row once": lambda: ops.sequence_convolution(GATED, np.zeros(20, np.int32), [20], KERNEL),
    "order must have the shape": lambda: ops.sequence_convolution(GATED, np.zeros(19, np.int32), [20], KERNEL),
    "channels must lie in 1..4096": lambda: ops.sequence_convolution(
        np.zeros((1, 8194), np.float32), None, [1], np.zeros((1, 4097), np.float32)
    ),
}


@pytest.mark.parametrize("message", BAD_CALLS)
def test_bad_calls_say_what_is_wrong(message):
    with pytest.raises(ValueError, match=message):
        BAD_CALLS[message]()
