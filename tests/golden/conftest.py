"""A small golden case of our own making, for machines without the official ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from perception.golden.cases import draw
from perception.golden.segmentation import STAGES, stage_outputs
from perception.models.spvcnn import SPVCNN
from perception.nn.backends import REFERENCE
from perception.nn.tables import FrameTables
from tests.nn.frames import frame

SEED = 7
RULES = {"running_var": "uniform:0.5:1.5", "num_batches_tracked": "int0"}


@pytest.fixture
def made_case(tmp_path: Path) -> Path:
    """A case of a narrow SPVCNN, whose outputs come from the reference in float64."""
    folder = tmp_path / "mine" / "narrow"
    folder.mkdir(parents=True)
    network = SPVCNN(classes=3, width=0.125)
    tensors = {
        name: {"shape": list(tensor.shape), "rule": RULES.get(name.rsplit(".", 1)[-1], "normal:0.2")}
        for name, tensor in network.state_dict().items()
    }
    weights = {name: draw(name, tuple(rule["shape"]), rule["rule"], SEED) for name, rule in tensors.items()}
    network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
    coords = frame(voxels=150, extent=14)
    points = torch.randn(len(coords), 4, generator=torch.Generator().manual_seed(0))
    found = _outputs(network.double().eval(), coords, points.double())
    stored = {name: {"row_step": 1} for name in STAGES}
    spec = {"model": "SPVCNN", "seed": SEED, "config": {"num_classes": 3, "cr": 0.125}, "tensors": tensors}
    spec |= {"tolerance": {"relative_frobenius_error": 1e-4}, "outputs": {"stored": stored}}
    (folder / "spec.json").write_text(json.dumps(spec))
    inputs = {"coords": coords.numpy(), "points": points.numpy(), "indices": np.arange(len(coords))}
    np.savez(folder / "inputs.npz", **inputs)
    np.savez(folder / "outputs.npz", **found)
    return folder


def _outputs(network: SPVCNN, coords: torch.Tensor, features: torch.Tensor) -> dict[str, Any]:
    tables, arrays = FrameTables(coords, REFERENCE), {}
    with torch.no_grad():
        found = stage_outputs(network, lambda: network.label(tables, features))
    for name, value in found.items():
        tensor = value if isinstance(value, torch.Tensor) else value.features
        arrays[name] = tensor.float().numpy()
        if tensor is not value:
            arrays[f"{name}_coords"] = value.coords.numpy()
    return arrays
