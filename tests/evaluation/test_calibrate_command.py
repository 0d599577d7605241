"""`perception calibrate`, as a user types it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from perception.cli import main
from perception.runtime.dense.file_cache import FileCache
from perception.runtime.dense.ranges import find_table
from tests.bundle.block_graphs import write_block_network
from tests.bundle.detector_graphs import write_detector


@pytest.fixture
def clouds(tmp_path: Path) -> list[str]:
    """Options that name two clouds."""
    options = []
    for seed in range(2):
        file = tmp_path / f"{seed}.bin"
        np.random.default_rng(seed).uniform(-9, 9, (400, 4)).astype(np.float32).tofile(file)
        options += ["--cloud", str(file)]
    return options


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PERCEPTION_ENGINE_CACHE", str(tmp_path / "cache"))
    return write_block_network(tmp_path / "bundle")


def test_ranges_are_measured_shown_and_kept(
    bundle: Path, clouds: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", str(bundle), *clouds, "--method", "percentile", "--percentile", "99"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    volume = bundle / "volume.onnx"
    table = find_table(volume, volume.read_bytes(), FileCache(tmp_path / "cache"))
    assert (table.method, table.percentile) == ("percentile", 99)
    assert f"volume.onnx volume {table.limits['volume']:.4g}" in told
    assert "precision: int8" in told


def test_a_detector(
    clouds: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERCEPTION_ENGINE_CACHE", str(tmp_path / "cache"))
    bundle = write_detector(tmp_path / "detector")
    assert main(["calibrate", str(bundle), *clouds]) == 0
    table = find_table(bundle / "head.onnx", (bundle / "head.onnx").read_bytes(), FileCache(tmp_path / "cache"))
    assert f"head.onnx map {table.limits['map']:.4g}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--percentile", "0"], "--percentile: expected more than 0"), (["--clouds", "0"], "--clouds: expected 1")],
)
def test_wrong_options_are_one_line(
    bundle: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", str(bundle), *options]) == 2
    assert message in capsys.readouterr().err
