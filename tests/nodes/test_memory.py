"""Memory that is kept from cloud to cloud, and given back after a swap."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import numpy as np, psutil
from perception.nodes.memory import give_back_freed_memory, keep_freed_memory
assert keep_freed_memory()
resident_mb = lambda: psutil.Process().memory_info().rss / 1e6
before = resident_mb()
buffers = [np.ones(1 << 20, np.uint8) for _ in range(128)]
last = np.ones(1 << 20, np.uint8)
filled = resident_mb()
del buffers
kept = resident_mb()
assert give_back_freed_memory()
print(filled - before, kept - before, resident_mb() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="settings of glibc")
def test_freed_memory_stays_until_it_is_given_back():
    result = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    filled_mb, kept_mb, left_mb = map(float, result.stdout.split())
    assert filled_mb > 128
    assert kept_mb > 0.95 * filled_mb
    assert left_mb < 10
