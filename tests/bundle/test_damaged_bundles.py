"""Bundles that are damaged, incomplete, or that reach for other files are refused in one sentence."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import save

from perception.bundle.loading import load_bundle
from tests.bundle.graphs import description_of, graph_of, unet, write_files, write_unet
from tests.bundle.refusals import refusal

FILES = ("bundle.yaml", "weights.safetensors", "graph.json")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_unet(tmp_path / "tiny")


def test_a_sound_one_is_read(bundle: Path) -> None:
    net, loaded = unet(), load_bundle(bundle)
    assert loaded.tensors.keys() == net.tensors.keys()
    assert all(np.array_equal(loaded.tensors[name], tensor) for name, tensor in net.tensors.items())
    assert [operation.name for operation in loaded.graph.operations] == [step["name"] for step in net.operations]
    assert not loaded.tensors["stem.0.kernel"].flags.writeable


def test_reading_takes_no_more_memory_than_the_files(bundle: Path) -> None:
    """A buffer for the largest file that is allowed would not fit into a small board."""
    load_bundle(bundle)
    tracemalloc.start()
    try:
        load_bundle(bundle)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_a_file_too_many_is_ignored(bundle: Path) -> None:
    (bundle / "notes.txt").write_text("mine")
    load_bundle(bundle)


def test_further_files_are_read_with_the_bundle(tmp_path: Path) -> None:
    net = unet()
    write_files(tmp_path / "b", graph_of(net), net.tensors, others={"head.onnx": b"network"})
    assert load_bundle(tmp_path / "b").contents == {"head.onnx": b"network"}
    (tmp_path / "b" / "head.onnx").write_bytes(b"changed")
    assert "head.onnx: damaged" in refusal(tmp_path / "b")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    assert refusal(bundle) == f"{name}: no such file; copy the bundle again"


@pytest.mark.parametrize("name", FILES)
def test_an_empty_file(bundle: Path, name: str) -> None:
    (bundle / name).write_bytes(b"")
    assert refusal(bundle) == f"{name}: empty; copy the bundle again"


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_place_of_a_file(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    (bundle / name).mkdir()
    assert "is a folder" in refusal(bundle)


@pytest.mark.parametrize("name", FILES)
def test_a_pipe_in_place_of_a_file_does_not_block(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    os.mkfifo(bundle / name)
    assert "is not a plain file" in refusal(bundle)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_may_not_be_read(bundle: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    really_open = os.open

    def refusing(path: Path, *arguments: int) -> int:
        if Path(path).name == name:
            raise PermissionError(13, "Permission denied")
        return really_open(path, *arguments)

    monkeypatch.setattr(os, "open", refusing)
    assert refusal(bundle) == f"{name}: cannot be read (Permission denied); copy the bundle again"


@pytest.mark.parametrize("name", FILES[1:])
@pytest.mark.parametrize("place", [0, 8, 100, -1])
def test_a_flipped_byte(bundle: Path, name: str, place: int) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[place] ^= 1
    (bundle / name).write_bytes(content)
    assert refusal(bundle).startswith(f"{name}: damaged or changed (checksum ")


def test_a_folder_without_a_graph(bundle: Path) -> None:
    values = yaml.safe_load((bundle / "bundle.yaml").read_text())
    (bundle / "bundle.yaml").write_text(yaml.safe_dump(values | {"files": {}}))
    assert "perception export" in refusal(bundle)


def test_not_a_folder_at_all(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("not a folder")
    assert refusal(tmp_path / "b") == "bundle.yaml: no such file; copy the bundle again"
    assert refusal(tmp_path / "c") == "bundle.yaml: no such file; copy the bundle again"


@pytest.mark.parametrize("name", ["../other.onnx", "/etc/hostname", "a/b.onnx", "..\\other.onnx", "..", "", "a\nb"])
def test_names_that_lead_elsewhere(bundle: Path, name: str) -> None:
    (bundle.parent / "other.onnx").write_bytes(b"other")
    values = yaml.safe_load((bundle / "bundle.yaml").read_text())
    values["files"][name] = hashlib.sha256(b"other").hexdigest()
    (bundle / "bundle.yaml").write_text(yaml.safe_dump(values))
    assert refusal(bundle).startswith("bundle.yaml: files.")


@pytest.mark.parametrize("name", FILES[1:])
def test_a_link_that_leaves_the_folder(bundle: Path, name: str) -> None:
    """Even to a file of the right content: what a bundle says about other files is nobody's business."""
    (bundle / name).rename(bundle.parent / name)
    (bundle / name).symlink_to(bundle.parent / name)
    assert "leads out of the bundle's folder" in refusal(bundle)


def test_links_in_a_circle(bundle: Path) -> None:
    (bundle / "graph.json").unlink()
    (bundle / "graph.json").symlink_to(bundle / "graph.json")
    assert refusal(bundle).startswith("graph.json: cannot be read (")


def test_a_bundle_that_was_installed_by_links(bundle: Path, tmp_path: Path) -> None:
    """As `colcon build --symlink-install` does it: a folder of links to the files of one other folder."""
    (tmp_path / "installed").mkdir()
    for file in bundle.iterdir():
        (tmp_path / "installed" / file.name).symlink_to(file)
    load_bundle(tmp_path / "installed")
    (tmp_path / "linked").symlink_to(bundle)
    load_bundle(tmp_path / "linked")


def test_files_larger_than_such_files_are(bundle: Path) -> None:
    with (bundle / "bundle.yaml").open("ab") as stream:
        stream.truncate(10 << 20)
    assert "more than the 1048576 allowed" in refusal(bundle)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["stem.0.kernel", "stem.0.norm.running_mean", "classifier.bias"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_weights_that_are_no_numbers(tmp_path: Path, name: str, value: float, dtype: str) -> None:
    net = unet(dtype=dtype)
    net.tensors[name].flat[-1] = value
    write_files(tmp_path, graph_of(net), net.tensors)
    assert f"'{name}' holds NaN or infinite values" in refusal(tmp_path)


def test_a_negative_variance(tmp_path: Path) -> None:
    net = unet()
    net.tensors["stem.0.norm.running_var"][3] = -1e-3
    write_files(tmp_path, graph_of(net), net.tensors)
    assert "'stem.0.norm.running_var' holds a negative variance" in refusal(tmp_path)


def test_weights_of_integers(tmp_path: Path) -> None:
    net = unet()
    net.tensors["stem.0.kernel"] = np.ones((27, 4, 8), np.int64)
    write_files(tmp_path, graph_of(net), net.tensors)
    assert "'stem.0.kernel' is int64, expected float32 or float16" in refusal(tmp_path)


def test_weights_at_an_odd_place_are_aligned(tmp_path: Path) -> None:
    """The format does not demand that the header's length is a multiple of 8."""
    net = unet()
    content = save(net.tensors)
    length = int.from_bytes(content[:8], "little")
    odd = (length + 1).to_bytes(8, "little") + content[8 : 8 + length] + b" " + content[8 + length :]
    write_files(tmp_path, graph_of(net), odd)
    for name, tensor in load_bundle(tmp_path).tensors.items():
        assert tensor.flags.aligned
        assert np.array_equal(tensor, net.tensors[name])


@pytest.mark.parametrize("key", ["name", "license", "origin", "engine"])
@pytest.mark.parametrize("text", ["", "two\nlines", "\x1b[31mred", "a" * 3000, "\u202egnp.exe"])
def test_notes_that_would_spoil_a_terminal(tmp_path: Path, key: str, text: str) -> None:
    net = unet()
    write_files(tmp_path, graph_of(net), net.tensors, description_of(**{key: text}))
    assert refusal(tmp_path).startswith(f"bundle.yaml: {key}: ")


@pytest.mark.parametrize("changes", [{"classes": ["car", "road", "a\tb"]}, {"measured": {"a\nb": 1.0}}])
def test_names_that_would_spoil_a_terminal(tmp_path: Path, changes: dict[str, object]) -> None:
    net = unet()
    write_files(tmp_path, graph_of(net), net.tensors, description_of(**changes))
    assert "one line of printable characters" in refusal(tmp_path)
