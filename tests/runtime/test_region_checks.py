"""A region that does not fit the graph is refused when the bundle is loaded, not when the first frame comes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception.bundle.loading import load_bundle
from perception.configuration import ConfigurationError
from perception.runtime.native import NativeSegmentationEngine, load_executor
from perception.types import Frame, PointCloud
from tests.bundle.block_graphs import write_block_network
from tests.bundle.graphs import description_of, write_files

REGION = "classifier.region"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_block_network(tmp_path / "blocks")


def rewritten(bundle: Path, **changes: Any) -> Path:
    """The bundle with other values of the region's operation."""
    graph = json.loads((bundle / "graph.json").read_text())
    operation = next(one for one in graph["operations"] if one["name"] == REGION)
    operation.update({key: value for key, value in changes.items() if key != "file"})
    operation["attributes"]["file"] = changes.get("file", operation["attributes"]["file"])
    description = description_of(network=load_bundle(bundle).description.network.model_dump())
    return write_files(bundle, graph, {}, description, {file.name: file.read_bytes() for file in bundle.glob("*.onnx")})


def refusal(bundle: Path) -> str:
    loaded = load_bundle(bundle)
    with pytest.raises(ConfigurationError) as caught:
        load_executor(loaded, threads=1)
    return str(caught.value).removeprefix(f"{bundle}/")


def test_regions_that_fit(bundle: Path) -> None:
    points = np.random.default_rng(0).uniform(-10, 10, (700, 4)).astype(np.float32)
    engine = NativeSegmentationEngine(bundle, load_bundle(bundle).description, threads=1)
    labels = engine.forward(Frame(PointCloud(points)))
    assert labels.class_ids.max() < 3
    assert len(np.unique(labels.class_ids)) > 1
    assert np.isfinite(labels.probabilities).all()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"inputs": {"a": "moved", "c": "back"}}, "inputs are ['a', 'b'], but 'classifier.region' of the"),
        ({"inputs": {"a": "moved"}}, "knows no 'b'"),
        ({"inputs": {"a": "moved", "b": "back", "c": "back"}}, "expects 'c'"),
        ({"inputs": {"a": "moved", "b": "points"}}, "its input 'b' is float32 [any, 8, any], but"),
        ({"inputs": {"a": "moved", "b": "volume"}}, "has float32 [blocks, 8, 4, 4, 4] there"),
        ({"file": "points.onnx"}, "points.onnx: its inputs are ['points'], but"),
    ],
)  # fmt: skip
def test_regions_that_do_not(bundle: Path, changes: dict[str, Any], expected: str) -> None:
    message = refusal(rewritten(bundle, **changes))
    assert expected in message
    assert message.endswith("; export the bundle again")
