"""A bundle in half precision is half as large and labels as the full one does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from perception.bundle.format import WEIGHTS_FILE, load_description
from perception.bundle.writer import write_bundle
from perception.data.simulation import simulate_drive
from perception.models.build import build_network
from perception.models.checkpoints import load_checkpoint
from perception.models.network import SegmentationNetwork
from perception.runtime.voxels import voxelize_frame


@pytest.fixture(scope="module")
def full(top: Path) -> Path:
    """The shipped bundle."""
    return top / "config" / "models" / "spvcnn_street"


@pytest.fixture(scope="module")
def half(full: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in half precision."""
    folder = tmp_path_factory.mktemp("half") / "bundle"
    values = load_description(full).model_dump(exclude={"weights_sha256"})
    write_bundle(folder, values, load_file(full / WEIGHTS_FILE), half=True)
    return folder


def _network(folder: Path) -> SegmentationNetwork:
    description = load_description(folder)
    network = build_network(description.network, len(description.classes))
    load_checkpoint(network, folder / WEIGHTS_FILE)
    return network.eval()


def test_it_is_half_as_large(full: Path, half: Path) -> None:
    assert (half / WEIGHTS_FILE).stat().st_size < 0.55 * (full / WEIGHTS_FILE).stat().st_size


def test_it_loads_as_single_precision_with_fresh_counters(half: Path) -> None:
    state = _network(half).state_dict()
    counters = {name: state.pop(name) for name in list(state) if name.endswith("num_batches_tracked")}
    assert counters
    assert not any(tensor.any() for tensor in counters.values())
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}


def test_it_labels_as_the_full_one(full: Path, half: Path) -> None:
    (moment,) = simulate_drive(seed=7, sensor="hdl64e", frames=1)
    voxels = voxelize_frame(moment.frame.cloud.points, load_description(full).voxel_size_m)
    with torch.inference_mode():
        coords, features = torch.from_numpy(voxels.coords), torch.from_numpy(voxels.features)
        exact, rounded = (_network(folder)(coords, features).numpy() for folder in (full, half))
    assert 0 < np.linalg.norm(rounded - exact) / np.linalg.norm(exact) < 1e-2
    assert np.mean(rounded.argmax(1) != exact.argmax(1)) < 1e-3
