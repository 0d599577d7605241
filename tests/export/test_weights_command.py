"""`perception weights import`: a fitting checkpoint becomes a bundle; of any other, all that is wrong is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from perception.bundle.architecture import SpvnasArchitecture
from perception.bundle.format import WEIGHTS_FILE, SpvcnnSettings, SpvnasSettings, load_description
from perception.classes import NUSCENES_LIDARSEG, SEMANTIC_KITTI
from perception.cli import main
from perception.models.minkunet import MinkUNet
from perception.models.spvcnn import SPVCNN
from perception.models.spvnas import SPVNAS
from perception.runtime import load_engine
from perception.types import Frame, PointCloud

SMALL = SpvnasArchitecture.uniform(8, (8, 8, 16, 16), (16, 16, 8, 8))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """An SPVCNN as published: in a dictionary, trained by several processes."""
    state = {f"module.{name}": tensor for name, tensor in SPVCNN(19, 0.125).state_dict().items()}
    torch.save({"model": state, "epoch": 15}, tmp_path / "init")
    return tmp_path / "init"


def _run(*words: object) -> int:
    return main(["weights", "import", *map(str, words)])


def test_a_bundle_is_made_and_says_where_it_comes_from(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--license", "MIT", "--origin", "https://example.org/init", "--voxel-size-m", 0.1)
    assert _run(checkpoint, "--model", "spvcnn", "--out", tmp_path / "street", *options) == 0
    description = load_description(tmp_path / "street")
    assert description.network == SpvcnnSettings(width=0.125)
    assert (description.name, description.engine, description.license) == ("street", "native", "MIT")
    assert description.origin.startswith("https://example.org/init; perception weights import of init (sha256 ")
    assert (description.classes, description.voxel_size_m) == (SEMANTIC_KITTI.names, 0.1)
    assert description.colors == tuple(tuple(color) for color in SEMANTIC_KITTI.colors.tolist())
    values = sum(tensor.numel() for tensor in SPVCNN(19, 0.125).state_dict().values() if tensor.is_floating_point())
    shown = capsys.readouterr().out
    next_step = f"perception bringup models:={tmp_path / 'street'} "
    for fact in ("spvcnn, width 0.125", f"317, {values / 1e6:.2f} million", "19 of semantic_kitti: car", next_step):
        assert fact in shown


@pytest.mark.parametrize(
    ("model", "network", "classes"),
    [
        ("minkunet", lambda: MinkUNet(19, 0.125), SEMANTIC_KITTI),
        ("spvcnn", lambda: SPVCNN(16, 0.125), NUSCENES_LIDARSEG),
        ("spvnas", lambda: SPVNAS(19, SMALL), SEMANTIC_KITTI),
    ],
)
@pytest.mark.parametrize("precision", [(), ("--half",)], ids=["full", "half"])
def test_every_network_labels_a_cloud(model, network, classes, precision, tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "net.pth")
    assert _run(tmp_path / "net.pth", "--model", model, "--out", tmp_path / "bundle", *precision) == 0
    engine = load_engine(tmp_path / "bundle")
    assert engine.description.classes == classes.names
    points = np.random.default_rng(0).uniform(0, 3, (400, 4)).astype(np.float32)
    result = engine.forward(Frame(PointCloud(points)))
    assert len(result) == len(points)
    assert (result.probabilities >= 1 / len(classes)).all()


def test_safetensors_in_half_precision(tmp_path: Path) -> None:
    torch.save(SPVNAS(19, SMALL).state_dict(), tmp_path / "net.pth")
    assert _run(tmp_path / "net.pth", "--model", "spvnas", "--half", "--out", tmp_path / "a") == 0
    assert _run(tmp_path / "a" / WEIGHTS_FILE, "--model", "spvnas", "--out", tmp_path / "b") == 0
    assert load_description(tmp_path / "b").network == SpvnasSettings(architecture=SMALL)


def test_checking_writes_nothing(checkpoint: Path, tmp_path: Path) -> None:
    assert _run(checkpoint, "--model", "spvcnn", "--check", "--out", tmp_path / "street") == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["init"]


def test_a_mismatch_lists_every_tensor_by_group(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = SPVCNN(19, 0.125).state_dict()
    state["head[red].weight"] = state.pop("classifier.0.weight")
    state["stem.1.weight"] = torch.zeros(9)
    torch.save(state, tmp_path / "odd.pth")
    assert _run(tmp_path / "odd.pth", "--model", "spvcnn", "--out", tmp_path / "out") == 2
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "1 missing",
        "  classifier.0.weight  19x12",
        "1 unexpected",
        "  head[red].weight  19x12",
        "1 of another shape",
        "  stem.1.weight  9, expected 4",
    ]
    assert shown.err.count("\n") == 1
    assert "odd.pth: does not fit spvcnn; " in shown.err
    assert not (tmp_path / "out").exists()


def test_a_long_list_ends_in_a_count(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(checkpoint, "--model", "spvcnn", "--width", 0.25, "--check") == 2
    shown = capsys.readouterr()
    title, *rows, rest = shown.out.splitlines()
    count = int(title.removesuffix(" of another shape"))
    assert len(rows) == 20
    assert rest == f"  ... and {count - 20} more"
    assert "try --model spvcnn --width 0.125, which fits" in shown.err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "--out FOLDER"),
        (("--check", "--width", "nan"), "expected 0.01 to 16"),
        (("--check", "--net-config", "x"), "--net-config is for spvnas"),
        (("--check", "--classes", "nuscenes"), "has 19 classes; semantic-kitti has 19, nuscenes has 16"),
        (("--out", "{tmp}", "--voxel-size-m", "-1"), "voxel_size_m: Input should be greater than 0"),
        (("--out", "{tmp}"), "holds other files (init)"),
    ],
)
def test_wrong_options(
    checkpoint: Path, tmp_path: Path, options: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word.replace("{tmp}", str(tmp_path)) for word in options]
    assert _run(checkpoint, "--model", "spvcnn", *words) == 2
    message = capsys.readouterr().err
    assert expected in message
    assert message.count("\n") == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["init"]


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (lambda: SPVCNN(7, 0.125), "has 7 classes"),
        (lambda: SPVCNN(19, 0.125, input_channels=5), "takes 5 features a voxel"),
    ],
)
def test_networks_that_the_engine_cannot_run(network, expected: str, tmp_path: Path, capsys) -> None:
    torch.save(network().state_dict(), tmp_path / "net.pth")
    assert _run(tmp_path / "net.pth", "--model", "spvcnn", "--check") == 2
    assert expected in capsys.readouterr().err
