"""What a convolution needs beside its arrays, measured by the operating system in a process of its own."""

import subprocess
import sys

import pytest

# A buffer of (pairs x channels) floats would take 300,000 x 27 x 48 x 4 bytes = 1.5 GB.
SCRIPT = """
import resource, sys
import numpy as np
from perception import ops
dtype, what = sys.argv[1:]
rows, channels = 300_000, 48
table = (np.arange(rows, dtype=np.int32)[:, None] + np.arange(27, dtype=np.int32)) % rows
features = np.ones((rows, channels), dtype)
weight = np.ones((27, channels, channels), dtype)
peak_bytes = lambda: 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
def call(rows):
    if what == "forward":
        return ops.sparse_convolution(features, table[:rows], weight, threads=2)
    return ops.weight_gradient(features, features[:rows], table[:rows], threads=2)
call(10)
before = peak_bytes()
result = call(rows)
print(peak_bytes() - before - result.nbytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss differs")
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("what", ["forward", "weight gradient"])
def test_extra_memory_is_what_the_header_states(dtype, what):
    done = subprocess.run([sys.executable, "-c", SCRIPT, dtype, what], capture_output=True, text=True, check=True)
    extra_mib = int(done.stdout) / 2**20
    weights_mib = 27 * 48 * 48 * 4 / 2**20
    assert extra_mib < weights_mib + (2 * 1 if what == "forward" else 2 + 8) + 4  # 4 for the process itself
