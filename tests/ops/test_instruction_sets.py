"""The inner loops of the other instruction sets, which this machine would not choose by itself."""

import os
import subprocess
import sys

import numpy as np
import pytest

from perception import ops

CHANNELS = [(1, 1), (3, 5), (8, 8), (16, 24), (33, 47), (70, 129)]
# Relative to the largest result: the sets differ in the order of rounding only.
TOLERANCE = 1e-5

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
    corners = np.linspace(-1, 1, table[:, :8].size, dtype=np.float32).reshape(-1, 8)
    results[f"{name}/devoxelized"] = ops.devoxelize(features, table[:, :8].copy(), corners)
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
    for name, values in other.items():
        tolerance = TOLERANCE * max(1.0, np.abs(best[name]).max())
        np.testing.assert_allclose(values, best[name], rtol=0, atol=tolerance, err_msg=name)
