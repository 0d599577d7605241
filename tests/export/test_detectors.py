"""Detectors as bundles that run without PyTorch; one that differs from it is never written."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from rich.console import Console
from safetensors.numpy import load_file

from perception.bundle.format import WEIGHTS_FILE, DetectionDescription
from perception.bundle.loading import load_bundle
from perception.cli import main
from perception.configuration import ConfigurationError
from perception.export import prepared
from perception.export.agreement import agreement
from perception.export.exporter import Source, export_network
from perception.export.report import print_export
from perception.export.self_check import made_up_street
from perception.export.sources import parse_training
from perception.models.detector import MapDetector
from perception.models.flatformer import FlatFormer
from perception.nn import backends
from perception.nn.pillar_backends import REFERENCE
from perception.paths import share_folder
from perception.runtime import load_engine
from perception.runtime.detections import boxes_of, find_candidates, points_in_range, suppress
from perception.runtime.self_check import SELF_CHECK_FILE
from perception.runtime.starting import start_engine
from perception.training.command import load_configuration
from perception.types import Boxes3D, Frame, PointCloud
from tests.export.test_flatformer import drawn_network
from tests.models import test_centerpoint
from tests.models.test_flatformer import SMALL

CLASSES = ("car", "pedestrian")
DECODING = {
    "min_score": 0.1,
    "candidates": 60,
    "peak_window": 3,
    "center_range_m": [-9, -9, -99, 9, 9, 99],
    "suppression": [{"iou": 0.2}, {"iou": 0.3}],
}


def seeing(network: MapDetector) -> MapDetector:
    """Let a network with drawn weights be sure enough of some boxes, and write sizes of about a metre."""
    head = network.bbox_head.task_heads[0]
    with torch.no_grad():
        head["heatmap"][1].weight.mul_(4)
        head["iou"][1].bias.fill_(1)
        for name in ("dim", "vel", "height"):
            head[name][1].weight.mul_(0.2)
    return network


def seeing_network(changes: dict[str, Any] | None = None) -> FlatFormer:
    settings = SMALL.model_copy(update={"range_m": (-8.0, -8.0, -3.0, 8.0, 8.0, 3.0)} | (changes or {}))
    return seeing(drawn_network(settings))


NETWORKS = {
    "flatformer": (seeing_network, REFERENCE),
    "lite blocks": (lambda: seeing_network({"block": "lite"}), REFERENCE),
    "pointpillars": (lambda: seeing_network({"blocks": 0}), REFERENCE),
    "two sweeps": (lambda: seeing_network({"point_channels": 5, "window": 3, "group_size": 5}), REFERENCE),
    "centerpoint": (lambda: seeing(test_centerpoint.drawn_network()), backends.REFERENCE),
}


def source_of(network: MapDetector, **values: Any) -> Source:
    described = {
        "format": 1,
        "name": "small",
        "task": "detection",
        "network": network.settings.model_dump(),
        "decoding": DECODING,
        "classes": CLASSES,
        "colors": [[1, 2, 3]] * 2,
        "license": "Apache-2.0",
        "origin": "a test",
    }
    return Source(network, described | values)


def in_torch(network: MapDetector, points: np.ndarray, description: DetectionDescription, backend: Any) -> Boxes3D:
    """What plain PyTorch finds."""
    with torch.inference_mode():
        inside = torch.from_numpy(points_in_range(points, network.settings.range_m))
        maps = network([inside], backend)
    maps = {name: value.contiguous() for name, value in maps.items()}
    (candidates,) = find_candidates(maps, description.network, description.decoding)
    return boxes_of(suppress(candidates, description.decoding), description.classes)


@pytest.mark.parametrize("kind", NETWORKS)
def test_what_is_written_runs_and_finds_what_pytorch_finds(kind: str, tmp_path: Path) -> None:
    make, backend = NETWORKS[kind]
    network = make()
    exported = export_network(source_of(network, sweeps=2 if kind == "two sweeps" else 1), tmp_path / "bundle")
    comparison = exported.comparison
    assert 0 < comparison.scores.error < 1e-4
    assert (comparison.output, comparison.unit, comparison.agreement) == ("maps", "boxes", 1)
    assert comparison.results > 3
    assert len(comparison.values) == {"pointpillars": 3}.get(kind, 7)
    assert {operation.stage for operation in exported.graph.operations} == {"maps", *comparison.stages()}
    assert "dense" in comparison.stages()
    engine = start_engine(tmp_path / "bundle", threads=1)  # which runs the self-check
    points = made_up_street(network.settings.point_channels)
    found = engine.forward(Frame(PointCloud(points))).boxes
    expected = in_torch(network, points, engine.description, backend)
    assert agreement(found, expected) == (len(expected), len(expected))
    check = load_file(tmp_path / "bundle" / SELF_CHECK_FILE)
    np.testing.assert_array_equal(check["points"], points)
    np.testing.assert_allclose(check["boxes"][:, :3], expected.centers, atol=1e-5)


def test_weights_are_rounded_before_they_are_compared(tmp_path: Path) -> None:
    network = seeing_network()
    source = source_of(network)
    exported = export_network(Source(network, source.values, half=True), tmp_path / "bundle")
    assert exported.comparison.scores.error < 1e-4
    tensors = load_bundle(tmp_path / "bundle").tensors
    assert tensors["middle_encoder.block_list.0.block.3.fc1.weight"].dtype == np.float16
    assert tensors["middle_encoder.block_list.0.block.3.fc1.bias"].dtype == np.float32


@pytest.mark.parametrize(
    ("name", "change", "stage"),
    [
        ("voxel_encoder.vfe_layers.1.point", {"norm_epsilon": 0.5}, "pillars"),
        ("middle_encoder.block_list.0.block.2.attention", {"heads": 1}, "block_list.0"),
        ("walk_1", {"shifted": False}, "block_list.0"),
    ],
)
def test_a_wrong_operation_is_named_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, change: dict[str, object], stage: str
) -> None:
    right, backend = prepared.DETECTORS[FlatFormer]

    def wrong(network: FlatFormer) -> prepared.LoweredNetwork:
        lowered = right(network)
        operations = [
            one.model_copy(update={"attributes": one.attributes | change}) if one.name == name else one
            for one in lowered.graph.operations
        ]
        graph = lowered.graph.model_copy(update={"operations": tuple(operations)})
        assert graph != lowered.graph
        return prepared.LoweredNetwork(graph, lowered.regions, lowered.twins)

    monkeypatch.setitem(prepared.DETECTORS, FlatFormer, (wrong, backend))
    with pytest.raises(ConfigurationError, match=f"stage '{stage}': '.*' .* is the first to differ"):
        export_network(source_of(seeing_network()), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_finds_nothing_has_no_self_check(tmp_path: Path) -> None:
    network = seeing_network()
    network.bbox_head.task_heads[0]["heatmap"][1].bias.data.fill_(-30)
    exported = export_network(source_of(network), tmp_path / "bundle")
    assert SELF_CHECK_FILE not in exported.description.files
    assert exported.comparison.agreement == 1
    console = Console(file=StringIO(), width=200)
    print_export(console, exported, tmp_path / "bundle", "float32")
    assert "the network is sure of nothing" in console.file.getvalue()
    start_engine(tmp_path / "bundle", threads=1).close()


def test_clouds_get_the_columns_that_the_network_takes(tmp_path: Path) -> None:
    network = seeing_network({"point_channels": 5})
    exported = export_network(source_of(network), tmp_path / "bundle", [made_up_street()])
    assert exported.comparison.agreement == 1
    assert load_file(tmp_path / "bundle" / SELF_CHECK_FILE)["points"].shape[1] == 5


def test_features_can_be_squashed_before_the_network_gets_them(tmp_path: Path) -> None:
    network = seeing_network()
    export_network(source_of(network, squashed_columns=[3]), tmp_path / "squashed")
    export_network(source_of(network), tmp_path / "plain")
    points = made_up_street()
    squashed, plain = points.copy(), points.copy()
    plain[:, 3] = np.tanh(points[:, 3])
    engines = [load_engine(tmp_path / name, threads=1) for name in ("squashed", "plain")]
    pairs = zip(engines, (squashed, plain), strict=True)
    found, expected = (engine.forward(Frame(PointCloud(given))).boxes for engine, given in pairs)
    assert agreement(found, expected) == (len(expected), len(expected))
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert not np.array_equal(found.scores, engines[1].forward(Frame(PointCloud(points))).boxes.scores)
    np.testing.assert_array_equal(squashed, points)
    for wrong in ([2], [4], [-1]):
        with pytest.raises(ConfigurationError, match="squashed_columns must be 3 to 3"):
            export_network(source_of(network, squashed_columns=wrong), tmp_path / "wrong")


def test_another_cloud_can_be_the_self_check(tmp_path: Path) -> None:
    network = seeing_network({"range_m": (100.0, -8.0, -3.0, 116.0, 8.0, 3.0)})
    decoding = DECODING | {"center_range_m": [90, -9, -99, 120, 9, 99]}
    far = np.concatenate([made_up_street() + np.array([108, 0, 0, 0], np.float32)] * 20)
    far[:, :3] += np.random.default_rng(0).normal(0, 0.02, (len(far), 3))
    export_network(source_of(network, decoding=decoding), tmp_path / "bundle", [far.astype(np.float32)])
    points = load_file(tmp_path / "bundle" / SELF_CHECK_FILE)["points"]
    assert 10_000 < len(points) <= 32_768
    directions = np.arctan2(*np.split(points[:, 1::-1], 2, axis=1))
    apart = np.arctan2(far[:, 1], far[:, 0])
    assert len(points) == ((apart >= directions.min()) & (apart <= directions.max())).sum()
    start_engine(tmp_path / "bundle", threads=1).close()


def boxes(count: int = 3, **changes: Any) -> Boxes3D:
    rng = np.random.default_rng(2)
    values = {
        "centers": rng.uniform(-9, 9, (count, 3)).astype(np.float32),
        "sizes": np.ones((count, 3), np.float32),
        "yaws": np.full(count, np.pi, np.float32),
        "class_names": ("car",) * count,
        "scores": np.full(count, 0.5, np.float32),
        "velocities": np.zeros((count, 2), np.float32),
    }
    return Boxes3D(**values | changes)


def test_boxes_agree_where_everything_does() -> None:
    assert agreement(boxes(), boxes()) == (3, 3)
    assert agreement(boxes(), boxes(yaws=np.full(3, -np.pi, np.float32))) == (3, 3)
    assert agreement(boxes(0), boxes(0)) == (0, 0)
    assert agreement(boxes(0), boxes()) == (0, 3)
    assert agreement(boxes(2), boxes()) == agreement(boxes(), boxes(2)) == (2, 3)
    others = {
        "centers": boxes().centers + np.array([0, 0.1, 0], np.float32),
        "sizes": np.full((3, 3), 1.1, np.float32),
        "yaws": np.full(3, 3.0, np.float32),
        "class_names": ("car", "car", "bus"),
        "scores": np.full(3, 0.6, np.float32),
        "velocities": np.full((3, 2), 0.1, np.float32),
    }
    for name, values in others.items():
        assert agreement(boxes(), boxes(**{name: values})) == ((2, 3) if name == "class_names" else (0, 3)), name


def test_a_training_configuration_with_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = seeing_network()
    values = {"task": "detection", "name": "tiny", "network": network.settings.model_dump(mode="json")}
    values |= {"classes": list(CLASSES), "decoding": DECODING, "steps": 3, "half_weights": True}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(values))
    torch.save(network.state_dict(), tmp_path / "tiny.pt")
    made_up_street().tofile(tmp_path / "cloud.bin")
    words = [tmp_path / "tiny.yaml", "--weights", tmp_path / "tiny.pt", "--cloud", tmp_path / "cloud.bin"]
    assert main(["export", *map(str, words), "--out", str(tmp_path / "out"), "--precision", "auto"]) == 0
    shown = capsys.readouterr().out
    for words in ("block_list.0", "boxes the same", "--precision changes nothing here"):
        assert words in shown
    bundle = load_bundle(tmp_path / "out")
    assert bundle.description.classes == CLASSES
    assert bundle.description.origin.startswith("perception export of tiny.pt (sha256 ")
    assert load_file(tmp_path / "out" / WEIGHTS_FILE)["bbox_head.shared_conv.conv.weight"].dtype == np.float16
    again = [tmp_path / "out", "--out", tmp_path / "out", "--cloud", tmp_path / "cloud.bin", "--name", "ours"]
    assert main(["export", *map(str, again)]) == 0
    assert load_bundle(tmp_path / "out").description.name == "ours"


@pytest.mark.parametrize("name", ["flatformer_street", "flatformer_lite_street", "pointpillars_street"])
def test_training_configurations_are_read_as_training_reads_them(name: str) -> None:
    ours, theirs = parse_training(share_folder() / "config/training" / f"{name}.yaml"), load_configuration(name)
    for key in ("name", "task", "network", "classes", "decoding", "half_weights"):
        assert getattr(ours, key) == getattr(theirs, key)
    assert ours.data.merged_sweeps == theirs.data.merged_sweeps
