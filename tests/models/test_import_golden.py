"""From an official checkpoint's tensors through a bundle and the engine: the scores of the official code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from perception.cli import main
from perception.golden.cases import GoldenCase, load_case
from perception.golden.checks import relative_error
from perception.runtime import load_engine
from perception.runtime.native import NativeSegmentationEngine
from perception.types import Frame, PointCloud


@pytest.fixture(params=["minkunet_w1", "spvcnn_w1", "spvnas_net"])
def case(request: pytest.FixtureRequest, shared: Path) -> GoldenCase:
    return load_case(shared / "golden" / "spvnas" / request.param, shared)


@pytest.fixture
def engine(case: GoldenCase, tmp_path: Path) -> NativeSegmentationEngine:
    """What `perception weights import` makes of the case's tensors, loaded."""
    model = case.spec.model.lower()
    torch.save({"model": {name: torch.from_numpy(value) for name, value in case.weights().items()}}, tmp_path / "init")
    words = [str(tmp_path / "init"), "--model", model, "--out", str(tmp_path / "bundle")]
    if model == "spvnas":
        (tmp_path / "net.config").write_text(json.dumps(case.spec.more["net_config"]))
        words += ["--net-config", str(tmp_path / "net.config")]
    assert main(["weights", "import", *words]) == 0
    engine = load_engine(tmp_path / "bundle")
    assert isinstance(engine, NativeSegmentationEngine)
    return engine


def test_an_imported_bundle_gives_the_official_scores(case: GoldenCase, engine: NativeSegmentationEngine) -> None:
    points, indices, step = case.inputs["points"], case.inputs["indices"], case.spec.more["out_row_step"]
    inputs = {"coords": np.ascontiguousarray(case.inputs["coords"], np.int32), "features": points[indices]}
    scores = engine.executor.run(inputs)["scores"]
    expected = case.outputs["out"]
    assert relative_error(scores[::step], expected) < case.tolerance

    result = engine.forward(Frame(PointCloud(points)))
    first = np.sort(expected, axis=1)
    clear = first[:, -1] - first[:, -2] > 1e-2  # where rounding cannot choose another class
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(result.class_ids[indices][::step][clear], expected.argmax(1)[clear])
