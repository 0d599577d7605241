"""`perception weights import --model flatformer`: an official checkpoint becomes a detector that needs no PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from perception.bundle.detection import CenterDecoding, FlatFormerSettings
from perception.bundle.loading import load_bundle
from perception.cli import main
from perception.golden.cases import load_case
from perception.golden.flatformer import BOX_TOLERANCE, SCORE_TOLERANCE, box_checks
from perception.models.flatformer import FlatFormer
from perception.ops.arrays import Array
from perception.runtime import load_engine
from perception.runtime.detections import Candidates
from perception.types import Boxes3D, Frame, PointCloud

#: Few channels everywhere; range, pillars and windows are the official ones.
SLIM = FlatFormerSettings(
    point_layers=(8, 32),
    channels=32,
    hidden=32,
    blocks=1,
    backbone_channels=(8, 8),
    backbone_layers=(0, 0),
    neck_channels=(8, 8),
    head_channels=8,
)


def candidates_of(boxes: Boxes3D, classes: tuple[str, ...]) -> Candidates:
    columns = (boxes.centers, boxes.sizes, boxes.yaws, boxes.velocities)
    return Candidates(np.column_stack(columns), boxes.scores, np.array([classes.index(n) for n in boxes.class_names]))


def import_weights(*words: object) -> int:
    return main(["weights", "import", *map(str, words), "--model", "flatformer"])


def save_as_mmdet3d(network_state: dict[str, Array], file: Path) -> Path:
    """A checkpoint as training tools of the official code write it."""
    state = {f"module.{name}": torch.as_tensor(value) for name, value in network_state.items()}
    meta = {"epoch": 24, "CLASSES": ["Car", "Pedestrian", "Cyclist"], "config": "model = dict()"}
    torch.save({"meta": meta, "state_dict": state, "optimizer": {"state": {}, "param_groups": []}}, file)
    return file


def test_a_checkpoint_becomes_a_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    state = FlatFormer(SLIM, 3).state_dict()
    file = save_as_mmdet3d(state, tmp_path / "slim.pth")
    assert import_weights(file, "--out", tmp_path / "slim", "--half", "--license", "Waymo") == 0
    description = load_bundle(tmp_path / "slim").description
    assert description.network == SLIM
    assert description.classes == ("car", "pedestrian", "cyclist")
    assert (description.decoding, description.sweeps) == (CenterDecoding(), 1)
    assert description.squashed_columns == (3, 4)
    assert (description.required_fields, description.license) == (("intensity", "elongation"), "Waymo")
    shown = capsys.readouterr().out
    for fact in ("1 blocks of 32 channels, 8 heads, windows of 13 x 13, groups of 144", "3 of waymo", "tanh", "maps"):
        assert fact in shown
    assert f"perception bringup models:={tmp_path / 'slim'}" in shown


def test_what_does_not_fit_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = FlatFormer(SLIM, 3).state_dict()
    name = "middle_encoder.block_list.0.block.2.norm1.weight"
    save_as_mmdet3d({**state, name: torch.zeros(31)}, tmp_path / "odd.pth")
    save_as_mmdet3d(FlatFormer(SLIM, 4).state_dict(), tmp_path / "four.pth")
    narrow = SLIM.model_copy(update={"point_channels": 4})
    save_as_mmdet3d(FlatFormer(narrow, 3).state_dict(), tmp_path / "narrow.pth")
    expected = {
        "odd.pth": f"{name}  31, expected 32",
        "four.pth": "has 4 classes; waymo has 3",
        "narrow.pth": "takes 4 features a point; the official detectors take x, y, z, intensity, elongation",
    }
    for file, message in expected.items():
        assert import_weights(tmp_path / file, "--out", tmp_path / "out") == 2
        shown = capsys.readouterr()
        assert message in shown.out + shown.err
        assert shown.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--width", 1), "the widths of flatformer are read off the shapes"),
        (("--voxel-size-m", 0.1), "--voxel-size-m is for networks that label points"),
        (("--net-config", "x"), "--net-config is for spvnas"),
        (("--classes", "nuscenes"), "has 3 classes; waymo has 3"),
    ],
)
def test_options_of_other_networks(
    option: tuple[object, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = save_as_mmdet3d(FlatFormer(SLIM, 3).state_dict(), tmp_path / "slim.pth")
    assert import_weights(file, "--check", *option) == 2
    assert message in capsys.readouterr().err


def test_the_engine_finds_the_official_boxes(shared: Path, tmp_path: Path) -> None:
    case = load_case(shared / "golden" / "flatformer" / "detector", shared)
    file = save_as_mmdet3d(case.weights(), tmp_path / "official.pth")
    assert import_weights(file, "--out", tmp_path / "bundle") == 0
    (points,) = case.inputs.values()
    points[:, 3:] = np.arctanh(points[:, 3:].clip(-0.9999999, 0.9999999))  # stored as the network gets them
    boxes = load_engine(tmp_path / "bundle", threads=1).forward(Frame(PointCloud(points))).boxes
    checks = list(box_checks(case, candidates_of(boxes, ("car", "pedestrian", "cyclist")), ""))
    assert len(boxes) > 100
    assert [check.name for check in checks] == ["boxes", "scores"]
    assert {check.tolerance for check in checks} == {BOX_TOLERANCE, SCORE_TOLERANCE}
    assert all(check.passed for check in checks)
