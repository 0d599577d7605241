"""The memory that inspection states, against the peak of a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from perception.paths import find_bundle

THREADS = 2
MEASURE = """
import re, sys
from pathlib import Path
from perception.bundle.files import BundleFiles
from perception.bundle.format import read_any_description
from perception.data.files import read_points
from perception.runtime.engine import NATIVE_ENGINES
from perception.types import Frame, PointCloud

def kibibytes(name):
    # The peak of getrusage would be that of the process that started this one, where that was larger.
    return int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

try:
    import onnxruntime
except ImportError:
    pass
points = read_points(Path(sys.argv[2]), 4)
before = kibibytes("VmRSS")
folder = Path(sys.argv[1])
description = read_any_description(BundleFiles(folder, "bundle.yaml"))
engine = NATIVE_ENGINES[description.task](folder, description, threads=int(sys.argv[3]))
for _ in range(3):  # ONNX Runtime takes more for the second frame, when it knows the sizes
    engine.forward(Frame(PointCloud(points)))
assert "torch" not in sys.modules
print((kibibytes("VmHWM") - before) * 1024)
"""


@pytest.mark.parametrize(
    "name", ["full size", "spvcnn_street", "spvnas_street", "pvcnn_street", "flatformer_street", "pointpillars_street"]
)
def test_what_is_stated_is_what_a_process_takes(
    name: str, semantic_kitti_scan: Path, request: pytest.FixtureRequest
) -> None:
    bundle = request.getfixturevalue("full_size_bundle") if name == "full size" else find_bundle(name)
    stated = json.loads(output_of("-m", "perception.cli", "inspect", bundle, "--cloud", semantic_kitti_scan, "--json"))
    peak_bytes = int(output_of("-c", MEASURE, bundle, semantic_kitti_scan, THREADS))
    assert np.isclose(stated["memory_bytes"]["total"], peak_bytes, rtol=0.2)
    if name == "full size":
        assert stated["counts"]["voxels/1"] == 94_625


def output_of(*arguments: object) -> str:
    """What Python prints in a process of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": str(THREADS), "PERCEPTION_KERNELS_POISON": "0"}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.check_output(command, env=environment, text=True, timeout=300)
