"""Bundles are written whole or not at all, and load again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from perception.bundle import writer
from perception.bundle.format import WEIGHTS_FILE, load_description
from perception.bundle.writer import write_bundle
from perception.configuration import ConfigurationError

TENSORS = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "count": np.int64(3)}


@pytest.fixture
def values() -> dict[str, Any]:
    return {
        "format": 1,
        "name": "tiny",
        "task": "segmentation",
        "engine": "torch",
        "network": {"model": "spvcnn", "width": 0.5},
        "classes": ["a", "b"],
        "colors": [[1, 2, 3], [4, 5, 6]],
        "voxel_size_m": 0.1,
        "license": "Apache-2.0",
        "origin": "a test",
    }


def test_what_is_written_loads(tmp_path: Path, values: dict[str, Any]) -> None:
    written = write_bundle(tmp_path / "tiny", values, TENSORS)
    assert load_description(tmp_path / "tiny") == written
    loaded = load_file(tmp_path / "tiny" / WEIGHTS_FILE)
    np.testing.assert_array_equal(loaded["weight"], TENSORS["weight"])
    assert loaded["count"].shape == ()


def test_the_same_content_is_the_same_bytes(tmp_path: Path, values: dict[str, Any]) -> None:
    first = write_bundle(tmp_path / "a", values, TENSORS)
    second = write_bundle(tmp_path / "b", values, dict(reversed(TENSORS.items())))
    assert first.weights_sha256 == second.weights_sha256


def test_a_bundle_is_replaced(tmp_path: Path, values: dict[str, Any]) -> None:
    write_bundle(tmp_path / "tiny", values, TENSORS)
    write_bundle(tmp_path / "tiny", {**values, "name": "second"}, TENSORS)
    assert load_description(tmp_path / "tiny").name == "second"
    assert [entry.name for entry in tmp_path.iterdir()] == ["tiny"]


def test_a_wrong_description_leaves_the_old_bundle(tmp_path: Path, values: dict[str, Any]) -> None:
    write_bundle(tmp_path / "tiny", values, TENSORS)
    with pytest.raises(ConfigurationError, match="colors"):
        write_bundle(tmp_path / "tiny", {**values, "colors": [[1, 2, 3]]}, TENSORS)
    assert load_description(tmp_path / "tiny").name == "tiny"


def test_a_crash_leaves_the_old_bundle(tmp_path: Path, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(tmp_path / "tiny", values, TENSORS)
    replace, calls = writer.os.replace, []

    def failing(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise OSError("disk full")
        replace(source, target)

    monkeypatch.setattr(writer.os, "replace", failing)
    with pytest.raises(OSError, match="disk full"):
        write_bundle(tmp_path / "tiny", {**values, "name": "second"}, TENSORS)
    assert load_description(tmp_path / "tiny").name == "tiny"


def test_a_folder_with_other_files_is_not_touched(tmp_path: Path, values: dict[str, Any]) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ConfigurationError, match=r"thesis\.tex"):
        write_bundle(tmp_path, values, TENSORS)
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_further_files_are_written_with_their_checksums_and_replaced(tmp_path: Path, values: dict[str, Any]) -> None:
    folder = tmp_path / "tiny"
    written = write_bundle(folder, values, TENSORS, files={"graph.json": b"{}", "dense_0.onnx": b"onnx"})
    assert (folder / "dense_0.onnx").read_bytes() == b"onnx"
    assert written.files["graph.json"] == hashlib.sha256(b"{}").hexdigest()
    write_bundle(folder, values, TENSORS, files={"graph.json": b"[]"})
    assert sorted(entry.name for entry in folder.iterdir()) == ["bundle.yaml", "graph.json", "weights.safetensors"]
    assert list(load_description(folder).files) == ["graph.json"]


def test_a_file_that_the_bundle_does_not_list_is_not_deleted(tmp_path: Path, values: dict[str, Any]) -> None:
    write_bundle(tmp_path / "tiny", values, TENSORS, files={"graph.json": b"{}"})
    (tmp_path / "tiny" / "notes.txt").write_text("precious")
    with pytest.raises(ConfigurationError, match=r"notes\.txt"):
        write_bundle(tmp_path / "tiny", values, TENSORS)
    assert (tmp_path / "tiny" / "notes.txt").read_text() == "precious"


def test_what_does_not_pass_the_check_leaves_the_old_bundle(tmp_path: Path, values: dict[str, Any]) -> None:
    write_bundle(tmp_path / "tiny", values, TENSORS)
    seen: list[str] = []

    def refuse(folder: Path) -> None:
        seen.append(load_description(folder).name)
        raise ConfigurationError("it differs")

    with pytest.raises(ConfigurationError, match="it differs"):
        write_bundle(tmp_path / "tiny", {**values, "name": "second"}, TENSORS, check=refuse)
    assert seen == ["second"]
    assert load_description(tmp_path / "tiny").name == "tiny"
    assert [entry.name for entry in tmp_path.iterdir()] == ["tiny"]


def test_changed_weights_are_noticed(tmp_path: Path, values: dict[str, Any]) -> None:
    write_bundle(tmp_path / "tiny", values, TENSORS)
    weights = tmp_path / "tiny" / WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ConfigurationError, match="damaged"):
        load_description(tmp_path / "tiny")


def test_half_precision_is_for_what_layers_multiply_with(tmp_path: Path, values: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    tensors = {
        "conv.kernel": rng.standard_normal((27, 3, 4), np.float32),
        "conv.bias": rng.standard_normal(4, np.float32),
        "bn.running_var": np.full(4, 1e6, np.float32),
        "bn.num_batches_tracked": np.int64(7),
    }
    write_bundle(tmp_path / "tiny", values, tensors, half=True)
    loaded = load_file(tmp_path / "tiny" / WEIGHTS_FILE)
    assert set(loaded) == {"conv.kernel", "conv.bias", "bn.running_var"}
    assert loaded["conv.kernel"].dtype == np.float16
    np.testing.assert_allclose(loaded["conv.kernel"], tensors["conv.kernel"], rtol=2**-11, atol=1e-7)
    for name in ("conv.bias", "bn.running_var"):
        assert loaded[name].dtype == np.float32
        np.testing.assert_array_equal(loaded[name], tensors[name])


def test_a_weight_beyond_half_precision_is_refused(tmp_path: Path, values: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"conv\.kernel: holds values beyond half precision"):
        write_bundle(tmp_path / "tiny", values, {"conv.kernel": np.full((2, 2), 1e5, np.float32)}, half=True)
    assert list(tmp_path.iterdir()) == []
