"""The official SPVCNN at full width is the same without PyTorch, on a part of the real scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from perception.bundle.loading import load_bundle
from perception.data.files import read_points
from perception.export.exporter import export_network
from perception.export.precision import Precision
from tests.export.full_size import full_size_source


def test_its_bundle_holds_the_whole_network(full_size_bundle: Path) -> None:
    bundle = load_bundle(full_size_bundle)
    values = sum(tensor.size for name, tensor in bundle.tensors.items() if not name.endswith("num_batches_tracked"))
    assert 21_000_000 < values < 23_000_000  # 21.7 million parameters, and statistics
    assert bundle.description.voxel_size_m == 0.05


@pytest.mark.parametrize(("precision", "limit", "agreement"), [("float32", 1e-4, 1.0), ("float16", 1e-2, 0.995)])
def test_a_quarter_of_the_real_scan(
    precision: Precision, limit: float, agreement: float, semantic_kitti_scan: Path, tmp_path: Path
) -> None:
    points = read_points(semantic_kitti_scan, 4)
    quarter = points[(points[:, :2] > 0).all(1)]
    comparison = export_network(full_size_source(), tmp_path / "bundle", [quarter], precision).comparison
    assert comparison.results == len(quarter) > 20_000
    assert comparison.scores.error < limit
    assert comparison.agreement >= agreement
    values = [difference.error for difference in comparison.values.values()]
    assert np.isfinite(values).all()
    assert max(values) < limit
