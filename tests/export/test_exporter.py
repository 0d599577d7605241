"""Exported bundles run without PyTorch and give what PyTorch gives; one that does not is never written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file
from torch import fx

from perception.bundle.format import DESCRIPTION_FILE, WEIGHTS_FILE, load_description
from perception.bundle.graph import GRAPH_FILE
from perception.bundle.loading import load_bundle
from perception.configuration import ConfigurationError
from perception.data.files import read_points
from perception.data.simulation import simulate_drive
from perception.export import exporter, prepared
from perception.export.exporter import Exported, Source, export_network
from perception.export.lowering import LoweredNetwork
from perception.export.precision import candidates
from perception.export.self_check import made_up_street
from perception.export.sources import Overrides, find_source
from perception.models.engine import TorchSegmentationEngine
from perception.nn.blocks import ReLU
from perception.nn.sparse_tensor import SparseTensor
from perception.runtime import load_engine
from perception.runtime.self_check import SELF_CHECK_FILE
from perception.types import Frame, PointCloud
from tests.export import networks

SHIPPED = ("spvcnn_street", "spvnas_street", "pvcnn_street")


@pytest.fixture(scope="module")
def sweep() -> NDArray[np.float32]:
    """A simulated sweep of a drive that training never saw."""
    (moment,) = simulate_drive(seed=31, sensor="hdl64e", frames=1)
    return moment.frame.cloud.points


@pytest.fixture
def scan(semantic_kitti_scan: Path) -> NDArray[np.float32]:
    """The real scan."""
    return read_points(semantic_kitti_scan, 4)


def _near(points: NDArray[np.float32]) -> NDArray[np.float32]:
    return points[np.abs(points[:, :2]).max(1) < 12]


@pytest.fixture
def source() -> Source:
    """A small network with drawn weights."""
    return _source("spvcnn")


def _source(kind: str) -> Source:
    settings: dict[str, object] = {"model": kind, "width": 0.125}
    if kind == "spvnas":
        settings = {"model": kind, "architecture": networks.PART.model_dump()}
    if kind == "pvcnn":
        settings |= {"voxel_resolution": 0.25}
        settings["blocks"] = {"size_m": 10.0, "height_m": [-3, 5], "points": 512}
    values = {
        "format": 1,
        "name": kind,
        "task": "segmentation",
        "network": settings,
        "classes": ["a", "b", "c", "d", "e"],
        "colors": [[1, 2, 3]] * 5,
        "voxel_size_m": 0.2,
        "license": "Apache-2.0",
        "origin": "a test",
    }
    return Source(networks.make(kind), values)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_network_is_the_same_on_simulated_and_real_sweeps(
    name: str, sweep: NDArray[np.float32], scan: NDArray[np.float32], tmp_path: Path, top: Path
) -> None:
    if name == "pvcnn_street":  # which is slow, and sees no further than a few metres
        sweep, scan = _near(sweep), _near(scan)
    exported = export_network(find_source(name, None, Overrides()), tmp_path / name, [sweep, scan])
    comparison = exported.comparison
    assert comparison.results == len(sweep) + len(scan)
    assert comparison.scores.error < 1e-4
    assert all(difference.error < 1e-4 for difference in comparison.values.values())
    assert len(comparison.values) >= len([one for one in exported.graph.operations if one.op != "downsample"])
    native = load_engine(tmp_path / name)
    shipped = top / "config" / "models" / name
    plain = TorchSegmentationEngine(shipped, load_description(shipped))
    ours, theirs = (engine.forward(Frame(PointCloud(sweep))) for engine in (native, plain))
    assert (ours.class_ids == theirs.class_ids).mean() > 0.9999
    np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=1e-4)


@pytest.mark.parametrize("name", SHIPPED[:2])
def test_a_shipped_network_keeps_its_labels_in_half_precision(
    name: str, sweep: NDArray[np.float32], scan: NDArray[np.float32], tmp_path: Path
) -> None:
    source = find_source(name, None, Overrides())
    exported = export_network(source, tmp_path / name, [sweep, scan], "float16")
    assert sum(operation.dtype == "float16" for operation in exported.graph.operations) > 60
    assert 0 < exported.comparison.scores.error < 1e-2
    assert exported.comparison.agreement >= 0.995


@pytest.mark.parametrize("kind", networks.BUILDERS)
def test_what_is_written_loads_and_runs(kind: str, tmp_path: Path) -> None:
    source = _source(kind)
    before = {name: tensor.clone() for name, tensor in source.network.state_dict().items()}
    exported = export_network(source, tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.description == exported.description
    assert bundle.description.engine == "native"
    assert bundle.graph.graph == exported.graph
    assert set(bundle.tensors) == set(before)
    assert all((bundle.tensors[name] == tensor.numpy()).all() for name, tensor in before.items())
    result = load_engine(tmp_path / "bundle").forward(Frame(PointCloud(made_up_street())))
    check = load_file(tmp_path / "bundle" / SELF_CHECK_FILE)
    np.testing.assert_array_equal(check["points"], made_up_street())
    np.testing.assert_array_equal(check["class_ids"], result.class_ids)
    np.testing.assert_allclose(check["probabilities"], result.probabilities, atol=1e-5)


def test_the_graph_is_a_file_to_read(source: Source, tmp_path: Path) -> None:
    export_network(source, tmp_path / "bundle")
    lines = (tmp_path / "bundle" / GRAPH_FILE).read_text().splitlines()
    operations = [json.loads(line.strip().rstrip(",")) for line in lines[1:-1]]
    assert [operation["name"] for operation in operations][:1] == ["neighbours/1"]
    assert len(operations) == len(load_bundle(tmp_path / "bundle").graph.operations)


def test_weights_are_rounded_before_they_are_compared(source: Source, tmp_path: Path) -> None:
    exported = export_network(Source(source.network, source.values, half=True), tmp_path / "bundle")
    assert exported.comparison.scores.error < 1e-4
    kernel = load_file(tmp_path / "bundle" / WEIGHTS_FILE)["stem.0.kernel"]
    assert kernel.dtype == np.float16


def test_further_files_stay(source: Source, tmp_path: Path) -> None:
    kept = {"card.md": b"# A network\n"}
    export_network(Source(source.network, source.values, kept=kept), tmp_path / "bundle")
    again = find_source(str(tmp_path / "bundle"), None, Overrides())
    assert again.kept == kept
    export_network(again, tmp_path / "bundle")
    assert (tmp_path / "bundle" / "card.md").read_bytes() == kept["card.md"]


@pytest.mark.parametrize(
    ("name", "change", "stage"),
    [
        ("stage2.1.net.3", {"attributes": {}}, "stage2"),
        ("up1.0.net.0", {"weights": {"kernel": "up1.0.net.0.kernel"}}, "up1"),
        ("up4.concatenate/1", {"inputs": {"a": "stem.3", "b": "up4.0.net.0"}}, "up4"),
        ("stem.3", {"attributes": {"relu": True, "norm_epsilon": 0.5}}, "stem"),
    ],
)
def test_a_wrong_operation_is_named_and_nothing_is_written(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, change: dict[str, object], stage: str
) -> None:
    lower = prepared.lower

    def spoiled(*arguments: object) -> LoweredNetwork:
        lowered = lower(*arguments)  # type: ignore[arg-type]
        operations = [one.model_copy(update=change) if one.name == name else one for one in lowered.graph.operations]
        graph = lowered.graph.model_copy(update={"operations": tuple(operations)})
        assert graph != lowered.graph
        return LoweredNetwork(graph, lowered.regions, lowered.twins)

    monkeypatch.setattr(prepared, "lower", spoiled)
    with pytest.raises(ConfigurationError, match=f"stage '{stage}': '{name}' .* is the first to differ"):
        export_network(source, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_half_precision_that_loses_too_much_is_refused(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = exporter.FLOAT16_LIMITS.__class__(error=1e-6, agreement=1.0, values=float("inf"))
    monkeypatch.setattr(exporter, "FLOAT16_LIMITS", strict)
    with pytest.raises(ConfigurationError, match="try --precision auto"):
        export_network(source, tmp_path / "bundle", precision="float16")
    exported = export_network(source, tmp_path / "bundle", precision="auto")
    assert exported.comparison.scores.error <= strict.error
    halves = [operation for operation in exported.graph.operations if operation.dtype == "float16"]
    assert len(halves) < len(candidates(exported.graph)) / 2


def test_what_overflows_in_half_precision_goes_back(source: Source, tmp_path: Path) -> None:
    source.network.get_parameter("classifier.0.weight").data.mul_(1e6)
    with pytest.raises(ConfigurationError, match="try --precision auto"):
        export_network(source, tmp_path / "bundle", precision="float16")
    exported = export_network(source, tmp_path / "bundle", precision="auto")
    types = {operation.name: operation.dtype for operation in exported.graph.operations}
    assert types["classifier.0"] == "float32"
    assert list(types.values()).count("float16") > 50


def test_an_old_bundle_stays_where_the_new_one_is_refused(source: Source, tmp_path: Path) -> None:
    export_network(source, tmp_path / "bundle")
    before = (tmp_path / "bundle" / DESCRIPTION_FILE).read_bytes()
    source.network.get_buffer("stem.1.running_var").fill_(-1)
    with pytest.raises(ConfigurationError, match=f"^{tmp_path}/bundle/weights.safetensors: .* negative variance"):
        export_network(source, tmp_path / "bundle")
    source.network.get_parameter("stem.0.kernel").data[0, 0, 0] = float("nan")
    with pytest.raises(ConfigurationError, match=r"the weight 'stem\.0\.kernel' is NaN or infinite"):
        export_network(source, tmp_path / "bundle")
    assert (tmp_path / "bundle" / DESCRIPTION_FILE).read_bytes() == before


class _Undecided(ReLU):
    def forward(self, tensor: SparseTensor) -> SparseTensor:
        return super().forward(tensor) if isinstance(tensor.features, fx.Proxy) else tensor


def test_a_network_that_its_record_misses_is_refused(source: Source, tmp_path: Path) -> None:
    source.network.get_submodule("stage1")[0].net[2] = _Undecided()  # type: ignore[index,union-attr]
    with pytest.raises(ConfigurationError, match=r"SPVCNN: its record differs by .* from what it computes"):
        export_network(source, tmp_path / "bundle")


def test_blocks_stay_in_single_precision(tmp_path: Path) -> None:
    exported: Exported = export_network(_source("pvcnn"), tmp_path / "bundle", precision="auto")
    assert all(operation.dtype == "float32" for operation in exported.graph.operations)
