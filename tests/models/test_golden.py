"""SPVCNN against the official implementation, layer by layer."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from perception.models.spvcnn import SPVCNN
from perception.nn.fusion import fuse
from perception.nn.sparse_tensor import SparseTensor

#: The stored intermediate results, by the module that computes them.
MODULES = {
    "x0": "stem",
    "x1": "stage1",
    "x2": "stage2",
    "x3": "stage3",
    "x4": "stage4",
    **{f"y{step}_up": f"up{step}.0" for step in range(1, 5)},
    **{f"y{step}": f"up{step}.1" for step in range(1, 5)},
}


@pytest.fixture(scope="module")
def golden(shared: Path) -> ModuleType:
    """The reader of golden vectors, which lies beside them."""
    spec = importlib.util.spec_from_file_location("golden", shared / "golden" / "golden.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=["spvcnn_w1", "spvcnn_w05_full"])
def case(request: pytest.FixtureRequest, shared: Path, golden: ModuleType) -> dict[str, Any]:
    """A golden case with the network that it describes."""
    spec, inputs, outputs = golden.load_case(shared / "golden" / "spvnas" / request.param)
    network = SPVCNN(spec["config"]["num_classes"], spec["config"]["cr"]).eval()
    network.load_state_dict({name: torch.from_numpy(value) for name, value in golden.state_dict(spec).items()})
    # Where the case stores both down-sampling rules, ours has the suffix; without it are results of the other.
    if "out_floor" in outputs:
        outputs = {name.replace("_floor", ""): value for name, value in outputs.items() if "_floor" in name}
    features = torch.from_numpy(inputs["points"][inputs["indices"]])
    coords = torch.from_numpy(inputs["coords"])
    return {"spec": spec, "network": network, "coords": coords, "features": features, "outputs": outputs}


def test_every_level_and_the_scores_match(case: dict[str, Any], golden: ModuleType) -> None:
    levels: dict[str, SparseTensor] = {}
    for name, module in MODULES.items():
        keep = lambda _module, _input, output, name=name: levels.update({name: output})  # noqa: E731
        case["network"].get_submodule(module).register_forward_hook(keep)
    with torch.inference_mode():
        scores = case["network"](case["coords"], case["features"]).numpy()
    outputs = case["outputs"]
    compared = [name for name in MODULES if f"{name}_coords" in outputs]
    errors = {
        name: golden.relative_error(_rows_at(levels[name], outputs[f"{name}_coords"]), outputs[name])
        for name in compared
    }
    errors["out"] = golden.relative_error(scores[:: case["spec"]["out_row_step"]], outputs["out"])
    tolerance = case["spec"]["tolerance"]["relative_frobenius_error"]
    assert len(compared) >= 2
    assert {name: error for name, error in errors.items() if error >= tolerance} == {}


def test_the_fused_network_matches(case: dict[str, Any], golden: ModuleType) -> None:
    fused = fuse(case["network"])
    with torch.inference_mode():
        scores = fused(case["coords"], case["features"]).numpy()
    error = golden.relative_error(scores[:: case["spec"]["out_row_step"]], case["outputs"]["out"])
    assert error < case["spec"]["tolerance"]["relative_frobenius_error"]


def _rows_at(tensor: SparseTensor, coords: np.ndarray) -> np.ndarray:
    """The features at some voxels, which are stored in another order."""
    row_of = {tuple(voxel): row for row, voxel in enumerate(tensor.coords.tolist())}
    return tensor.features.numpy()[[row_of[tuple(voxel)] for voxel in coords.tolist()]]
