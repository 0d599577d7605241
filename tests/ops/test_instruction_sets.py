"""The inner loops of the other instruction sets, which this machine would not choose by itself."""

import os
import subprocess
import sys

import numpy as np
import pytest

from perception import ops

CHANNELS = [(1, 1), (3, 5), (8, 8), (16, 24), (33, 47), (70, 129)]
# Relative to the largest result: the sets differ in the order of rounding only.
TOLERANCES = {"float32": 1e-5, "float16": 2.0**-10, "uint8": 0}

SCRIPT = """
import sys
import numpy as np
from perception import ops
calls = np.load(sys.argv[1])
results = {"instruction_set": np.array(ops.instruction_set())}
for name in {key.split("/")[0] for key in calls}:
    features, weight, table = (calls[f"{name}/{kind}"] for kind in ("features", "weight", "table"))
    results[f"{name}/forward"] = forward = ops.sparse_convolution(features, table, weight, relu=True)
    results[f"{name}/gradient"] = ops.weight_gradient(features, forward, table)
    halves = [array.astype(np.float16) for array in (features, weight, np.resize(features, forward.shape))]
    results[f"{name}/half forward"] = ops.sparse_convolution(halves[0], table, halves[1])
    results[f"{name}/half gradient"] = ops.weight_gradient(halves[0], halves[2], table)
    corners = np.linspace(-1, 1, table[:, :8].size, dtype=np.float32).reshape(-1, 8)
    results[f"{name}/devoxelized"] = ops.devoxelize(features, table[:, :8].copy(), corners)
every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)[:, None]
rows, ones = np.arange(1 << 16, dtype=np.int32)[:, None], np.ones((1, 1, 31), np.float16)
others = np.random.default_rng(0).permutation(np.resize(every, (1 << 16, 31)))
results["rounded"] = ops.sparse_convolution(every, rows, ones, None, others)
draw = np.random.default_rng(1)
points, grid = draw.uniform(-4, 4, (3, 7, 5, 6, 3)), ops.BevGrid((-3, -3, -3), (1, 1, 6), (6, 6, 1))
plan = ops.bev_plan(points.astype(np.float32), grid)
for channels in (5, 83):
    depth, context = draw.random((3, 7, 5, 6), np.float32), draw.random((3, channels, 5, 6), np.float32)
    results[f"lifted {channels}"] = lifted = ops.lift_pool(depth, context, plan)
    gradients = ops.lift_pool_gradient(depth, context, lifted, plan)
    results[f"to depth {channels}"], results[f"to context {channels}"] = gradients
image, tables = draw.integers(0, 256, (50, 210), dtype=np.uint8), ops.resize_tables((50, 70), (23, 41))
results["image"] = ops.resize_normalize(image, "rgb8", tables)
results["levels"] = np.rint(255 * ops.resize_normalize(image, "rgb8", tables, channels_last=True))
halves = np.sort(every[np.isfinite(every)])[:, None]
results["there and back"] = ops.segment_reduce(halves, np.arange(len(halves) + 1, dtype=np.int32), "mean")
for size, width in ((5, 15), (69, 96), (144, 48)):
    q, k, v = draw.standard_normal((3, 2 * size, width), np.float32)
    results[f"attended {size}"] = ops.group_attention(q, k, v, 3, size)
    norm = ops.LayerNorm(np.ones(2 * size, np.float32), np.zeros(2 * size, np.float32))
    results[f"dense {size}"] = ops.linear(q, k, None, "gelu", norm=norm)
for channels in (1, 3, 8, 21, 64):
    gated, kernel = draw.standard_normal((2, 99, 2 * channels), np.float32)
    kernel = np.ascontiguousarray(kernel[:5, :channels])
    results[f"convolved {channels}"] = ops.sequence_convolution(gated, None, [99], kernel)
    results[f"convolved halves {channels}"] = ops.sequence_convolution(gated.astype(np.float16), None, [99], kernel)
results["added"] = ops.add_rows(others, others[::-1].copy(), relu=True)
for classes in (3, 19, 33):
    scores = draw.standard_normal((90, classes), np.float32).astype(np.float16)
    results[f"class of {classes}"], results[f"probability of {classes}"] = ops.best_class(scores)
np.savez(sys.argv[2], **results)
"""


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    rng = np.random.default_rng(0)
    table = ops.submanifold_table(ops.unique(rng.integers(0, 9, (150, 4), dtype=np.int32)).coords)
    arrays = {}
    for inputs, outputs in CHANNELS:
        name = f"{inputs} to {outputs}"
        arrays[f"{name}/table"] = table
        arrays[f"{name}/features"] = rng.standard_normal((len(table), inputs)).astype(np.float32)
        arrays[f"{name}/weight"] = rng.standard_normal((27, inputs, outputs)).astype(np.float32)
    path = tmp_path_factory.mktemp("calls") / "calls.npz"
    np.savez(path, **arrays)
    return path


def run(calls, folder, wanted):
    environment = os.environ | {"PERCEPTION_KERNELS_INSTRUCTION_SET": wanted}
    subprocess.run([sys.executable, "-c", SCRIPT, calls, folder / "results.npz"], env=environment, check=True)
    return dict(np.load(folder / "results.npz"))


@pytest.mark.parametrize("wanted", ["avx2", "baseline"])
def test_every_set_gives_the_same_results(calls, tmp_path, wanted):
    best, other = run(calls, tmp_path, ""), run(calls, tmp_path, wanted)
    assert str(other.pop("instruction_set")) in {wanted, "baseline", "neon"}
    np.testing.assert_array_equal(other.pop("rounded"), best.pop("rounded"))
    for name, values in other.items():
        tolerance = TOLERANCES[values.dtype.name] * max(1.0, np.abs(best[name]).max())
        np.testing.assert_allclose(values, best[name], rtol=0, atol=tolerance, err_msg=name)
