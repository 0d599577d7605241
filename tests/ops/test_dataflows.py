"""Every way to compute a sparse convolution on a GPU, case by case against the reference in float64."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from perception import ops
from perception.ops import Dataflow, PreparedTable, Tuning, reference
from tests.ops.test_convolution_devices import (
    CHANNELS,
    DTYPES,
    VOLUMES,
    assert_close,
    double,
    draw_table,
    normal,
    place,
)

TUNINGS = {
    "by rule": Tuning(),
    "implicit": Tuning(Dataflow.IMPLICIT_GEMM, (64, 64)),
    "implicit, as it comes": Tuning(Dataflow.IMPLICIT_GEMM, (64, 32), ordered=False),
    "implicit, 96 columns": Tuning(Dataflow.IMPLICIT_GEMM, (64, 96)),
    "implicit, large tile": Tuning(Dataflow.IMPLICIT_GEMM, (128, 128)),
    "fetch": Tuning(Dataflow.FETCH_ON_DEMAND, (64, 32)),
    "fetch, wide": Tuning(Dataflow.FETCH_ON_DEMAND, (64, 64)),
    "gather, each weight alone": Tuning(Dataflow.GATHER_SCATTER, (64, 64)),
    "gather, grouped": Tuning(Dataflow.GATHER_SCATTER, (64, 32), epsilon=0.4, threshold=30),
    "gather, all in one": Tuning(Dataflow.GATHER_SCATTER, (128, 128), epsilon=1.0, threshold=1 << 40),
}
WITHOUT_TENSOR_CORES = [
    Tuning(Dataflow.IMPLICIT_GEMM, (64, 64), tensor_cores=False),
    Tuning(Dataflow.FETCH_ON_DEMAND, (64, 64), tensor_cores=False),
    Tuning(Dataflow.GATHER_SCATTER, (128, 128), tensor_cores=False, epsilon=0.5, threshold=1000),
]


def check(device, tuning, dtype, table, n_in, inputs, outputs, *, transposed=False):
    if device.kind == "cpu" and tuning != Tuning():
        pytest.skip("the CPU pays no attention to tunings")
    volume = table.shape[1]
    features, weight = normal(n_in, inputs, dtype=dtype), normal(volume, inputs, outputs, dtype=dtype)
    bias, residual = normal(outputs), normal(len(table), outputs, dtype=dtype)
    arguments = (double(weight), double(bias), double(residual), True)
    expected = reference.sparse_convolution(double(features), torch.from_numpy(table), *arguments)
    if transposed:
        weight = np.ascontiguousarray(weight.transpose(0, 2, 1))
    prepared = PreparedTable(device.array(table), n_in)
    features, weight, bias, residual = place(device, features, weight, bias, residual)
    result = ops.sparse_convolution(
        features, prepared, weight, bias, residual, True, transpose_weight=transposed, tuning=tuning
    )
    assert_close(device.numpy(result), expected, dtype)
    return device.numpy(result)


LAYERS = [
    pytest.param(volume, *channels, marks=[pytest.mark.large] if volume > 27 and number % 3 else [])
    for volume in VOLUMES
    for number, channels in enumerate(CHANNELS)
]


@pytest.mark.parametrize(("volume", "inputs", "outputs"), LAYERS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tuning", TUNINGS.values(), ids=TUNINGS)
def test_dataflows_equal_the_reference(device, tuning, dtype, inputs, outputs, volume):
    check(device, tuning, dtype, draw_table(131, 90, volume), 90, inputs, outputs)


@pytest.mark.parametrize("tuning", WITHOUT_TENSOR_CORES, ids=lambda tuning: tuning.dataflow.name)
@pytest.mark.parametrize(("inputs", "outputs"), [(3, 5), (24, 64), (64, 129)])
def test_half_precision_needs_no_tensor_cores(device, tuning, inputs, outputs):
    check(device, tuning, np.float16, draw_table(131, 90, 27), 90, inputs, outputs)


@pytest.mark.parametrize("tuning", TUNINGS.values(), ids=TUNINGS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_transposed_weights(device, tuning, dtype):
    check(device, tuning, dtype, draw_table(70, 60, 27), 60, 24, 16, transposed=True)


@pytest.mark.parametrize("tuning", TUNINGS.values(), ids=TUNINGS)
@pytest.mark.parametrize(("n_out", "n_in"), [(0, 5), (0, 0), (3, 0), (1, 1), (64, 1), (65, 1), (129, 200)])
def test_few_or_no_rows(device, tuning, n_out, n_in):
    check(device, tuning, np.float32, draw_table(n_out, n_in, 27), n_in, 8, 16)


@pytest.mark.parametrize("tuning", TUNINGS.values(), ids=TUNINGS)
def test_tables_without_and_full_of_pairs(device, tuning):
    check(device, tuning, np.float16, np.full((70, 27), -1, np.int32), 5, 8, 16)
    full = np.random.default_rng(0).integers(0, 5, (70, 343)).astype(np.int32)
    check(device, tuning, np.float16, full, 5, 8, 16)


@pytest.mark.parametrize("tuning", TUNINGS.values(), ids=TUNINGS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_results_are_the_same_each_time(device, tuning, dtype):
    table = draw_table(300, 250, 27)
    first = check(device, tuning, dtype, table, 250, 24, 40)
    np.testing.assert_array_equal(check(device, tuning, dtype, table, 250, 24, 40), first)


@pytest.mark.parametrize("threshold", [0, 1 << 40])
def test_more_pairs_than_the_buffers_of_gather_scatter_hold(device, threshold):
    """Rows of 80 kB, so that 64 MiB are less than the two weights of 500 pairs."""
    table = np.random.default_rng(0).integers(0, 90, (500, 2)).astype(np.int32)
    tuning = Tuning(Dataflow.GATHER_SCATTER, (64, 32), epsilon=1.0, threshold=threshold)
    check(device, tuning, np.float32, table, 90, 20_000, 2)


def pairs_of(table):
    """List the pairs of a table one by one."""
    return [(k, i, o) for k in range(table.shape[1]) for o, i in enumerate(table[:, k]) if i >= 0]


@pytest.mark.parametrize(("n_out", "volume"), [(0, 27), (1, 1), (64, 27), (65, 8), (500, 3), (200, 343)])
def test_pairs_are_those_of_the_table(device, n_out, volume):
    table = draw_table(n_out, 77, volume)
    begins, inputs, outputs, counts = PreparedTable(device.array(table), 77).pairs
    begins, inputs, outputs = device.numpy((begins, inputs, outputs))
    assert counts.tolist() == (table >= 0).sum(0).tolist()
    weights = np.repeat(np.arange(volume), counts)
    assert list(zip(weights, inputs, outputs, strict=True)) == pairs_of(table)
    tiles = -(-n_out // 64)
    in_tiles = [(table[64 * tile : 64 * tile + 64, k] >= 0).sum() for k in range(volume) for tile in range(tiles)]
    assert begins.tolist() == [0, *np.cumsum(in_tiles, dtype=int).tolist()]


@pytest.mark.parametrize(("n_out", "volume"), [(0, 27), (1, 1), (300, 27), (300, 64), (300, 125)])
def test_rows_are_ordered_by_the_weights_that_they_use(device, n_out, volume):
    table = draw_table(n_out, 50, volume, density=0.1)
    order = device.numpy(PreparedTable(device.array(table), 50).order)
    bits = [k if volume <= 64 else k * 64 // volume for k in range(volume)]
    masks = [sum(1 << bit for bit in {bits[k] for k in np.flatnonzero(row >= 0)}) for row in table]
    assert order.tolist() == sorted(range(n_out), key=lambda row: masks[row])


def test_bad_tables_are_errors(device):
    table = draw_table(90, 50, 8)
    table[70, 3] = 50
    with pytest.raises(ValueError, match="the table names an input row that does not exist"):
        _ = PreparedTable(device.array(table), 50).pairs
    if device.kind == "cpu":  # on a GPU nobody waits for it, and the row counts as absent
        with pytest.raises(ValueError, match="the table names an input row that does not exist"):
            _ = PreparedTable(table, 50).order


def test_bad_tunings_are_errors(device):
    table, features, weight = draw_table(9, 5, 8), device.array(normal(5, 4)), device.array(normal(8, 4, 4))
    prepared = PreparedTable(device.array(table), 5)
    with pytest.raises(ValueError, match="a tuning needs a PreparedTable"):
        ops.sparse_convolution(features, device.array(table), weight, tuning=Tuning())
    if device.kind == "cpu":
        pytest.skip("the CPU pays no attention to tunings")
    for tuning, message in (
        (Tuning(tile=(64, 128)), "tiles are 64 x 32"),
        (Tuning(tile=(128, 64)), "tiles are 64 x 32"),
        (Tuning(epsilon=1.5), "epsilon must lie in 0..1"),
        (Tuning(epsilon=float("nan")), "epsilon must lie in 0..1"),
        (Tuning(threshold=-1), "the threshold must not be negative"),
    ):
        with pytest.raises(ValueError, match=message):
            ops.sparse_convolution(features, prepared, weight, tuning=tuning)
    with pytest.raises(ValueError, match="the table is of 4 input rows, but there are 5"):
        ops.sparse_convolution(features, PreparedTable(device.array(table), 4), weight, tuning=Tuning())


@pytest.mark.parametrize("tuning", TUNINGS.values(), ids=TUNINGS)
def test_spoiled_preparations_are_never_followed(device, tuning):
    """Whatever the orders, begins and pairs hold, only the arrays of the call are read and written."""
    if device.kind == "cpu":
        pytest.skip("the CPU uses the table only")
    rng = np.random.default_rng(0)
    hostile = np.array([-1, 2**31 - 1, -(2**31), 131, 90, 5000], np.int32)
    prepared = PreparedTable(device.array(draw_table(131, 90, 27)), 90)

    def spoil(array):
        values = device.numpy(array).copy()
        where = rng.random(len(values)) < 0.2
        values[where] = rng.choice(hostile, where.sum())
        return device.array(values)

    begins, inputs, outputs, counts = prepared.pairs
    prepared.pairs = ops.Pairs(spoil(begins), spoil(inputs), spoil(outputs), counts)
    prepared.order = spoil(prepared.order)
    features, weight = device.array(normal(90, 8)), device.array(normal(27, 8, 16))
    assert device.numpy(ops.sparse_convolution(features, prepared, weight, tuning=tuning)).shape == (131, 16)


@cache
def large_layer(dtype, channels):
    """Draw a layer and compute some rows of its result, once for all tunings."""
    table = draw_table(100_000, 90_000, 27)
    features, weight = normal(90_000, channels, dtype=dtype), normal(27, channels, channels, dtype=dtype)
    rows = np.random.default_rng(0).integers(0, 100_000, 500)
    expected = reference.sparse_convolution(double(features), torch.from_numpy(table[rows]), double(weight))
    return features, table, weight, rows, expected


@pytest.mark.large
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [32, 128])
@pytest.mark.parametrize("tuning", TUNINGS.values(), ids=TUNINGS)
def test_large_clouds_equal_the_reference(device, tuning, dtype, channels):
    """More pairs than the buffers of gather-scatter hold at once."""
    if device.kind == "cpu":
        pytest.skip("the CPU pays no attention to tunings")
    features, table, weight, rows, expected = large_layer(dtype, channels)
    prepared = PreparedTable(device.array(table), len(features))
    result = ops.sparse_convolution(device.array(features), prepared, device.array(weight), tuning=tuning)
    assert_close(device.numpy(result)[rows], expected, dtype)
