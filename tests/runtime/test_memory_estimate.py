"""The memory that inspection states, against the peak of a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from perception.bundle.loading import load_bundle
from perception.data.files import read_points
from perception.export.lowering import lower
from perception.export.tracing import trace
from perception.models.spvcnn import SPVCNN
from perception.runtime.inspection import measure_costs
from tests.bundle.graphs import description_of, write_files
from tests.export.networks import SPARSE

CLASSES = 19
#: 94,625 voxels of the real scan.
VOXEL_SIZE_M = 0.05
THREADS = 2
MEASURE = """
import re, sys
from pathlib import Path
from perception.bundle.files import BundleFiles
from perception.bundle.format import read_description
from perception.data.files import read_points
from perception.runtime.native import NativeSegmentationEngine
from perception.types import Frame, PointCloud

def kibibytes(name):
    # The peak of getrusage would be that of the process that started this one, where that was larger.
    return int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

points = read_points(Path(sys.argv[2]), 4)
before = kibibytes("VmRSS")
folder = Path(sys.argv[1])
description = read_description(BundleFiles(folder, "bundle.yaml"))
engine = NativeSegmentationEngine(folder, description, threads=int(sys.argv[3]))
labels = engine.forward(Frame(PointCloud(points)))
assert "torch" not in sys.modules
print((kibibytes("VmHWM") - before) * 1024)
"""


@pytest.fixture(scope="module")
def full_size(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SPVCNN with its official widths and drawn weights."""
    torch.manual_seed(0)
    network = SPVCNN(CLASSES, 1.0).eval()
    graph = lower(trace(network), SPARSE).graph.model_dump(mode="json")
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    description = description_of(
        network={"model": "spvcnn", "width": 1.0},
        classes=[f"class {number}" for number in range(CLASSES)],
        colors=[[number] * 3 for number in range(CLASSES)],
        voxel_size_m=VOXEL_SIZE_M,
    )
    return write_files(tmp_path_factory.mktemp("bundles") / "full_size", graph, tensors, description)


def test_a_full_size_network_on_a_real_scan(full_size: Path, semantic_kitti_scan: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": str(THREADS), "PERCEPTION_KERNELS_POISON": "0"}
    command = [sys.executable, "-c", MEASURE, str(full_size), str(semantic_kitti_scan), str(THREADS)]
    peak_bytes = int(subprocess.check_output(command, env=environment, text=True, timeout=300))
    costs = measure_costs(load_bundle(full_size), read_points(semantic_kitti_scan, 4), THREADS)
    assert costs.runs[0]["voxels/1"] == 94_625
    assert np.isclose(costs.memory.total, peak_bytes, rtol=0.2)
