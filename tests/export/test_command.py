"""`perception export`: bundles and training configurations become bundles that run; mistakes are one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from perception.bundle.format import load_description
from perception.bundle.loading import load_bundle
from perception.cli import main
from perception.export.self_check import made_up_street
from perception.export.sources import parse_training
from perception.paths import share_folder
from perception.training.command import load_configuration
from tests.export import networks

SHIPPED = "spvcnn_street"


@pytest.fixture
def cloud(tmp_path: Path) -> Path:
    made_up_street().tofile(tmp_path / "cloud.bin")
    return tmp_path / "cloud.bin"


def _export(*words: object) -> int:
    return main(["export", *map(str, words)])


def test_a_shipped_bundle(cloud: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert _export(SHIPPED, "--out", out, "--cloud", cloud, "--name", "ours") == 0
    bundle = load_bundle(out)
    assert bundle.description.name == "ours"
    assert bundle.description.origin == load_description(share_folder() / "config/models" / SHIPPED).origin
    shown = capsys.readouterr().out
    assert "stage4" in shown
    assert "1,816 points the same" in shown
    assert _export(out, "--out", out, "--cloud", cloud, "--precision", "float16", "--half-weights") == 0
    again = load_bundle(out)
    assert again.description.name == "ours"
    assert any(operation.dtype == "float16" for operation in again.graph.operations)
    assert again.tensors["stem.0.kernel"].dtype == np.float16


def test_a_training_configuration_with_weights(cloud: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(
        "name: tiny\nnetwork: {model: minkunet, width: 0.125}\nvoxel_size_m: 0.2\nsteps: 3\ndata: {source: nuscenes}\n"
    )
    networks.CLASSES, kept = 16, networks.CLASSES
    try:
        torch.save(networks.make("minkunet").state_dict(), tmp_path / "tiny.pt")
    finally:
        networks.CLASSES = kept
    options = ("--weights", tmp_path / "tiny.pt", "--out", tmp_path / "out", "--cloud", cloud, "--license", "MIT")
    assert _export(tmp_path / "tiny.yaml", *options) == 0
    description = load_bundle(tmp_path / "out").description
    assert (description.name, description.license, len(description.classes)) == ("tiny", "MIT", 16)
    assert description.origin.startswith("perception export of tiny.pt (sha256 ")


@pytest.mark.parametrize("name", ["pvcnn_street", "spvcnn_street", "spvnas_street"])
def test_training_configurations_are_read_as_training_reads_them(name: str) -> None:
    ours, theirs = parse_training(share_folder() / "config/training" / f"{name}.yaml"), load_configuration(name)
    assert (ours.name, ours.network, ours.voxel_size_m) == (theirs.name, theirs.network, theirs.voxel_size_m)
    assert ours.half_weights == theirs.half_weights
    assert ours.data.classes == theirs.data.classes
    assert (ours.supernet is None) == (theirs.supernet is None)
    if ours.supernet and theirs.supernet:
        assert ours.supernet.elasticity == theirs.supernet.elasticity


def test_other_weights_are_not_measured(cloud: Path, tmp_path: Path) -> None:
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes((share_folder() / "config/models" / SHIPPED / "weights.safetensors").read_bytes())
    assert _export(SHIPPED, "--weights", weights, "--out", tmp_path / "out", "--cloud", cloud) == 0
    description = load_description(tmp_path / "out")
    assert description.measured == {}
    assert description.license == "unknown"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nothing",), "no bundle or training configuration 'nothing'"),
        (("spvcnn_street.yaml",), "no bundle or training configuration"),
        ((share_folder() / "config/training/spvcnn_street.yaml",), "give the weights with --weights FILE"),
        ((share_folder() / "config/bringup.yaml", "--weights", "w"), "neither a bundle.yaml nor a training config"),
        ((SHIPPED, "--weights", "w.pt"), "w.pt: no such file"),
        ((SHIPPED, "--cloud", "c.bin"), "c.bin: cannot be read"),
        ((SHIPPED, "--cloud", "c.bin", "--bag", "b"), "give --bag or --cloud"),
        ((SHIPPED, "--bag", "b"), "b: "),
        ((SHIPPED, "--clouds", "0"), "--clouds: expected 1 or more"),
        ((SHIPPED, "--sensor", "toaster"), "toaster"),
    ],
)
def test_mistakes_are_one_line(
    words: tuple[object, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _export(*words, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
