"""`perception benchmark`: every part of a frame's time is accounted for, and shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception.bundle.loading import Bundle, load_bundle
from perception.cli import main
from perception.evaluation.benchmark.measure import Sample, run_repeatedly, summarize_samples, warm_up
from perception.runtime.engine import NATIVE_ENGINES
from perception.runtime.inspection import measure_costs
from perception.runtime.native import NativeEngine
from tests.bundle.block_graphs import write_block_network
from tests.bundle.detector_graphs import write_detector
from tests.bundle.graphs import write_unet
from tests.evaluation.test_inspect_command import refusal

POINTS = np.random.default_rng(0).uniform(-5, 5, (4000, 4)).astype(np.float32)


@pytest.fixture
def cloud(tmp_path: Path) -> Path:
    POINTS.tofile(tmp_path / "cloud.bin")
    return tmp_path / "cloud.bin"


@pytest.fixture
def unet(tmp_path: Path) -> Path:
    return write_unet(tmp_path / "tiny")


def engine_of(bundle: Bundle[Any]) -> NativeEngine[Any, Any]:
    return NATIVE_ENGINES[bundle.description.task](bundle.folder, bundle.description, threads=1)


@pytest.mark.parametrize("write", [write_unet, write_block_network, write_detector])
def test_every_operation_is_timed_in_every_frame(write: object, tmp_path: Path) -> None:
    bundle = load_bundle(write(tmp_path / "bundle"))  # type: ignore[operator]
    engine = engine_of(bundle)
    warm_up(engine, [POINTS], 1)
    samples = run_repeatedly(engine, [POINTS, POINTS[:1000]], range(4))
    operations = {operation.name for operation in bundle.graph.operations}
    assert [sample.cloud for sample in samples] == [0, 1, 0, 1]
    for sample in samples:
        assert operations < sample.part_ms.keys()
        assert 0 < sum(sample.part_ms.values()) <= sample.total_ms
        assert 0 < sample.kernels_ms < sample.graph_ms < sample.total_ms


def test_overhead_is_not_known_on_a_gpu(unet: Path) -> None:
    """Calls of kernels only start them."""
    bundle = load_bundle(unet)
    engine = engine_of(bundle)
    warm_up(engine, [POINTS], 1)
    (sample,) = run_repeatedly(engine, [POINTS], range(1), on_gpu=True)
    assert sample.kernels_ms is None
    assert engine.executor.watch is None
    figures = summarize_samples(bundle.graph, [sample], [measure_costs(bundle, POINTS, 1)])
    assert figures.kernels is figures.overhead is figures.overhead_share is None


def test_what_is_timed_adds_up(unet: Path) -> None:
    """Made-up times: stages are sums of their operations, and what nothing accounts for is shown too."""
    bundle = load_bundle(unet)
    part_ms = {"voxelize": 1.0, **{operation.name: 1.0 for operation in bundle.graph.operations}, "labels": 2.0}
    samples = [Sample(0, ms, part_ms, ms - 4.0, ms - 14.0) for ms in (40.0, 44.0, 48.0)]
    figures = summarize_samples(bundle.graph, samples, [measure_costs(bundle, POINTS, 1)])
    count = len(bundle.graph.operations)
    assert figures.total.p50 == 44.0
    assert (figures.graph.p50, figures.kernels.p50, figures.overhead.p50) == (40.0, 30.0, 10.0)
    assert figures.overhead_share == pytest.approx(1 / 3)
    assert list(figures.stages) == [
        "voxelize", "maps", "stem", "down1", "down2", "points", "up1", "up2", "classifier", "labels", "other",
    ]  # fmt: skip
    assert figures.stages["down1"].p50 == 2.0
    assert figures.stages["other"].p50 == 44.0 - count - 3.0
    assert figures.stage_gmac["stem"] == figures.operation_gmac["stem.0"] > 0
    assert "maps" not in figures.stage_gmac


def test_the_command_shows_and_writes(unet: Path, cloud: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = unet.parent / "figures.json"
    arguments = ["--cloud", cloud, "--repeats", 3, "--warm-up", 0, "--threads", 1, "--out", out]
    assert main(["benchmark", str(unet), *map(str, arguments)]) == 0
    shown = capsys.readouterr().out
    assert "tiny, on cpu, 1 thread\n" in shown
    assert "cloud.bin: 4,000 points" in shown
    assert "3 timed" in shown
    assert "overhead" in shown
    values = json.loads(out.read_text())
    assert values["frames"] == values["total_ms"]["count"] == 3
    assert values["stages"]["stem"]["gmac_per_s"] > 0
    assert len(values["operations"]) == len(load_bundle(unet).graph.operations)
    assert values["overhead_ms"]["p50"] <= values["total_ms"]["p50"]


@pytest.mark.parametrize("columns", [80, 120])
def test_it_fits_the_terminal(
    unet: Path, cloud: Path, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["benchmark", str(unet), "--cloud", str(cloud), "--repeats", "2", "--per-operation"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= columns
    assert "…" not in shown
    for operation in load_bundle(unet).graph.operations:
        assert operation.name in shown


def test_mistakes_are_one_line(unet: Path, cloud: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no bundle 'nothing'" in refusal(capsys, "benchmark", "nothing")
    assert "tpu" in refusal(capsys, "benchmark", unet, "--device", "tpu")
    assert "--repeats: expected 1 or more, found 0" in refusal(capsys, "benchmark", unet, "--repeats", 0)
    assert "--threads: expected 1 or more, found 0" in refusal(capsys, "benchmark", unet, "--threads", 0)
    assert "--warm-up: expected 0 or more, found -1" in refusal(capsys, "benchmark", unet, "--warm-up", -1)
    missing = unet / "no" / "figures.json"
    assert "there is no folder" in refusal(capsys, "benchmark", unet, "--cloud", cloud, "--out", missing)
    assert "cannot be read (No such file" in refusal(capsys, "benchmark", unet, "--cloud", unet / "no.bin")
