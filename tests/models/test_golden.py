"""MinkUNet, SPVCNN and SPVNAS against the official implementation, stage by stage."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from perception.cli import main
from perception.golden.cases import load_case
from perception.golden.checks import relative_error
from perception.models.minkunet import MinkUNet
from perception.models.spvcnn import SPVCNN
from perception.nn.fusion import fuse
from tests.ops.devices import Device

CASES = ("minkunet_w1", "ops", "spvcnn_w05_full", "spvcnn_w1", "spvnas_net")
#: What is stored of the down-sampling rule that is not ours, and what no layer asks the backend for.
NOT_OURS = ("_v21", "_missing", "voxelize_point_coords", "k3s2_minkowski_map")


def floats_of(folder: Path) -> set[str]:
    """The float outputs of a case that are ours, without the suffix of our rule."""
    outputs = load_case(folder, folder).outputs
    names = {name for name, array in outputs.items() if array.dtype == np.float32}
    if "out_floor" in names:
        names = {name for name in names if name.endswith("_floor")} | {"x0", "z0"}
    names -= {name for name in names if any(part in name for part in NOT_OURS) or name.endswith("_feats")}
    return {name.removesuffix("_floor") for name in names}


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("name", CASES)
def test_every_stage_of_every_case(shared: Path, name: str, backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shared / "golden" / "spvnas" / name
    assert main(["check-golden", str(folder), "--backend", backend]) == 0, capsys.readouterr().out
    checked = [line.split("  ")[1] for line in capsys.readouterr().out.splitlines()[1:-1]]
    variants = ("super-network ", "specialised ") if name == "spvnas_net" else ("",)
    wanted = {f"{variant}{output}" for variant in variants for output in floats_of(folder)}
    assert wanted <= {output.removesuffix("_floor") for output in checked}


@pytest.mark.gpu
@pytest.mark.parametrize("name", CASES)
def test_every_case_on_a_gpu(device: Device, shared: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shared / "golden" / "spvnas" / name
    assert main(["check-golden", str(folder), "--backend", device.kind]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "weight", "stage"),
    [
        ("minkunet_w1", "up2.0.net.0.kernel", "y2_up"),
        ("spvnas_net", "downsample.2.feature.layers.0.downsample.net.bn.bn.bias", "super-network x3"),
        ("ops", "k2s2", "k2s2_floor"),
    ],
)
def test_a_spoiled_weight_is_named_by_its_stage(
    shared: Path, tmp_path: Path, name: str, weight: str, stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "spoiled" / name
    shutil.copytree(shared / "golden" / "spvnas" / name, folder, copy_function=shutil.copyfile)
    spec = json.loads((folder / "spec.json").read_text())
    spec["tensors"][weight]["rule"] = "normal:0.5"
    (folder / "spec.json").unlink()
    (folder / "spec.json").write_text(json.dumps(spec))
    assert main(["check-golden", str(folder)]) == 1
    assert f"spoiled/{name} first misses at {stage} (" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "network"), [("spvcnn_w05_full", SPVCNN), ("minkunet_w1", MinkUNet)])
def test_the_fused_network_matches(shared: Path, name: str, network: type[SPVCNN]) -> None:
    case = load_case(shared / "golden" / "spvnas" / name, shared)
    plain = network(case.spec.config["num_classes"], case.spec.config["cr"])
    plain.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in case.weights().items()})
    features = torch.from_numpy(case.inputs["points"][case.inputs["indices"]])
    with torch.inference_mode():
        scores = fuse(plain)(case.inputs["coords"], features).numpy()
    expected = case.outputs.get("out_floor", case.outputs["out"])
    assert relative_error(scores[:: case.spec.more["out_row_step"]], expected) < case.tolerance
