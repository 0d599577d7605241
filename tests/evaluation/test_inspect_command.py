"""`perception inspect`: what it says about a bundle, and that it fits a terminal."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from perception.bundle.loading import load_bundle
from perception.cli import main
from perception.evaluation.inspection.report import Inspection, print_inspection
from perception.runtime.device.figures import DeviceFigures
from perception.runtime.inspection import measure_costs
from tests.bundle.block_graphs import write_block_network
from tests.bundle.detector_graphs import write_detector
from tests.bundle.graphs import write_unet


@pytest.fixture
def cloud(tmp_path: Path) -> Path:
    points = np.random.default_rng(0).uniform(-5, 5, (4000, 4)).astype(np.float32)
    points.tofile(tmp_path / "cloud.bin")
    return tmp_path / "cloud.bin"


@pytest.fixture
def unet(tmp_path: Path) -> Path:
    return write_unet(tmp_path / "tiny")


def test_a_network_on_voxels(unet: Path, cloud: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(unet), "--cloud", str(cloud)]) == 0
    shown = capsys.readouterr().out
    for expected in (
        "minkunet of width 0.25",
        "3: car, road, tree",
        "Apache-2.0",
        "drawn weights",
        "weights.safetensors",
    ):
        assert expected in shown
    stages = ("maps", "stem", "down1", "down2", "points", "up1", "up2", "classifier", "total")
    first_words = [line.split()[0] for line in shown.splitlines() if line.strip()]
    assert [word for word in first_words if word in stages] == [*stages, "total"]
    assert "cloud.bin: 4,000 points" in shown
    assert [line.split()[0] for line in shown.splitlines() if line[:2].strip().isdecimal()] == ["1", "2", "4"]


def test_a_network_on_blocks(tmp_path: Path, cloud: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = write_block_network(tmp_path / "blocks")
    assert main(["inspect", str(bundle), "--cloud", str(cloud)]) == 0
    shown = capsys.readouterr().out
    assert "pvcnn of width 0.25 on blocks of 8 m" in shown
    assert "3 dense regions" in shown
    assert "4,000 points in " in shown


def test_a_detector(tmp_path: Path, cloud: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured = {"map": 0.61, "on": "streets"}
    bundle = write_detector(tmp_path / "detector", measured=measured)
    assert main(["inspect", str(bundle), "--cloud", str(cloud)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "detection by flatformer" in shown
    assert "range x -4 to 4 m, y -4 to 4 m, 16 x 16 cells of 0.5 m, 1 sweep" in shown
    assert "measured mean average precision 0.61 on streets" in shown
    points = np.fromfile(cloud, np.float32).reshape(-1, 4)
    inside = points[(np.abs(points[:, :2]) < 4).all(1) & (np.abs(points[:, 2]) < 2)]
    pillars = len(np.unique(np.floor(inside[:, :2] / 0.5), axis=0))
    assert f"4,000 points, {len(inside):,} in range, {pillars} pillars" in shown


@pytest.mark.parametrize("columns", [80, 100, 120])
@pytest.mark.parametrize("write", [write_unet, write_detector])
def test_it_fits_the_terminal(
    write: Callable[[Path], Path],
    tmp_path: Path,
    cloud: Path,
    columns: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["inspect", str(write(tmp_path / "bundle")), "--cloud", str(cloud)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    assert not any("…" in line for line in lines)


def test_json_says_the_same(unet: Path, cloud: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(unet), "--cloud", str(cloud), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["description"]["name"] == "tiny"
    assert values["points"] == [4000]
    assert values["mac"] == sum(stage["mac"] for stage in values["stages"].values()) > 0
    parts = {part: size for part, size in values["memory_bytes"].items() if part != "total"}
    assert values["memory_bytes"]["total"] == sum(parts.values())
    assert values["files_bytes"]["graph.json"] == (unet / "graph.json").stat().st_size
    assert values["stages"]["stem"]["dtypes"] == {"float32": 1}


def test_the_device_as_far_as_it_tells(unet: Path) -> None:
    bundle = load_bundle(unet)
    costs = [measure_costs(bundle, np.ones((5, 4), np.float32), 1)]
    orin = DeviceFigures("Jetson AGX Orin", 64 << 30, 3 << 30, 41.4, power_mode="MAXN")
    shown = printed(Inspection(bundle, "made up", costs, orin))
    assert "device     Jetson AGX Orin, 64.0 GiB, 3.0 in use, 41 °C, power mode MAXN" in shown
    assert "device" not in printed(Inspection(bundle, "made up", costs, DeviceFigures()))


def printed(inspection: Inspection) -> str:
    """What a terminal of 100 columns shows."""
    console = Console(file=io.StringIO(), width=100)
    print_inspection(console, inspection)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_the_dearest_of_several_clouds_counts(unet: Path, cloud: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = cloud.with_name("small.bin")
    small.write_bytes(cloud.read_bytes()[:1600])
    assert main(["inspect", str(unet), "--cloud", str(small), "--cloud", str(cloud), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["points"] == [100, 4000]
    assert values["counts"]["voxels/1"] > 100


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line on stderr of a command that ends with 2."""
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.strip().splitlines()
    return line


def test_mistakes_are_one_line(unet: Path, cloud: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no bundle 'nothing'" in refusal(capsys, "inspect", "nothing")
    assert "cannot be read (No such file" in refusal(capsys, "inspect", unet, "--cloud", unet / "no.bin")
    assert "give --bag or --cloud, not both" in refusal(capsys, "inspect", unet, "--cloud", cloud, "--bag", cloud)
    assert "--clouds: expected 1 or more" in refusal(capsys, "inspect", unet, "--clouds", 0)
    np.array([[np.nan, 0, 0, 0]], np.float32).tofile(cloud)
    assert "cloud.bin: " in refusal(capsys, "inspect", unet, "--cloud", cloud)
    (unet / "graph.json").write_text("{}")
    assert "graph.json: damaged or changed" in refusal(capsys, "inspect", unet)
