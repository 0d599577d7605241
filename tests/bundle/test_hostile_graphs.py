"""Graphs that cannot be run, or must not be, are refused in one sentence that names the operation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perception.bundle import deployment_checks
from perception.bundle.loading import load_bundle
from tests.bundle.graphs import description_of, graph_of, unet, write_files
from tests.bundle.refusals import refusal

Change = Callable[[dict[str, Any]], Any]
NOTHING = {"name": "a", "op": "add", "stage": "a", "inputs": {}, "outputs": {}}


def step(graph: dict[str, Any], name: str) -> dict[str, Any]:
    """An operation of a graph by its name."""
    found: dict[str, Any] = next(one for one in graph["operations"] if one["name"] == name)
    return found


def setting(name: str, *keys: str, to: Any) -> Change:
    """A change of one value of an operation."""

    def change(graph: dict[str, Any]) -> None:
        inner = step(graph, name)
        for key in keys[:-1]:
            inner = inner.setdefault(key, {})
        inner[keys[-1]] = to

    return change


def removing(name: str, *keys: str) -> Change:
    """A change that leaves out a value of an operation."""

    def change(graph: dict[str, Any]) -> None:
        inner = step(graph, name)
        for key in keys[:-1]:
            inner = inner[key]
        del inner[keys[-1]]

    return change


def repeating(name: str) -> Change:
    """A change that lets an operation run twice."""
    return lambda graph: graph["operations"].append(step(graph, name))


def moving_to_the_end(name: str) -> Change:
    """A change of the order."""

    def change(graph: dict[str, Any]) -> None:
        graph["operations"].sort(key=lambda one: one["name"] == name)

    return change


def adding(**more: Any) -> Change:
    """A change that sets keys of the graph."""
    return lambda graph: graph.update(more)


def write_changed(folder: Path, change: Change) -> Path:
    net = unet()
    graph = json.loads(json.dumps(graph_of(net)))
    change(graph)
    return write_files(folder, graph, net.tensors)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # cycles, and values that are made late, never, or twice
        (setting("stem.0", "inputs", "features", to="scores"), "'stem.0' needs 'scores'"),
        (setting("stem.0", "inputs", "features", to="stem.0"), "'stem.0' needs 'stem.0'"),
        (setting("stem.0", "inputs", "features", to="ghost"), "'stem.0' needs 'ghost'"),
        (moving_to_the_end("maps.table0"), "'stem.0' needs 'table0'"),
        (repeating("stem.0"), "'stem.0' makes 'stem.0' a second time"),
        (setting("up1.1", "name", to="stem.0"), "two operations are named 'stem.0'"),
        (setting("up1.1", "outputs", "features", to="features"), "'up1.1' makes 'features' a second time"),
        (adding(outputs={"scores": "ghost"}), "the output 'ghost' is made by nothing"),
        # what no operation knows
        (setting("stem.0", "op", to="system"), "'stem.0' (system): there is no such operation"),
        (setting("stem.0", "inputs", "feature", to="features"), "it knows no input 'feature'"),
        (removing("stem.0", "inputs", "table"), "it needs the input 'table'"),
        (setting("stem.0", "outputs", to={"values": "stem.0"}), "its outputs are ['values'], expected ['features']"),
        (setting("stem.0", "outputs", "more", to="another"), "its outputs are"),
        (removing("stem.0", "weights", "kernel"), "it needs the weight 'kernel'"),
        (setting("stem.0", "weights", "shift", to="classifier.bias"), "it knows no weight 'shift'"),
        (setting("stem.0", "weights", "kernel", to="ghost"), "there is no tensor 'ghost'"),
        (setting("stem.0", "more", to=1), "unknown key"),
        (adding(more=1), "unknown key 'more'"),
        # types and shapes
        (setting("stem.0", "weights", "kernel", to="down1.0.kernel"), "has the shape [8, 8, 8], expected [27, 4, any]"),
        (setting("stem.0", "weights", "norm", to="classifier"), "has the shape [3, 8], expected [8]"),
        (setting("stem.0", "weights", "norm", to="ghost"), "there is no tensor 'ghost.weight' in the weights"),
        (setting("stem.0", "weights", "bias", to="classifier.bias"), "'classifier.bias' has the shape [3]"),
        (setting("stem.0", "dtype", to="float16"), "its input 'features' is float32"),
        (setting("stem.0", "dtype", to="float64"), "dtype"),
        (setting("stem.0", "attributes", "relu", to=1), "its attribute 'relu' is 1, expected bool"),
        (setting("stem.0", "attributes", "relu", to="yes"), "expected bool"),
        (setting("stem.0", "attributes", "relu", to=None), "attributes.relu"),
        (setting("stem.0", "attributes", "norm_epsilon", to=1), "expected float"),
        (setting("stem.0", "attributes", "norm_epsilon", to=-1.0), "must lie between 0 and 1"),
        (setting("maps.corners", "attributes", "stride", to=0), "must be positive"),
        (setting("maps.corners", "attributes", "stride", to=10**30), "is too large"),
        (setting("maps.corners", "attributes", "stride", to=2**31), "is 2147483648, but the voxels are of edge 4"),
        (setting("maps.down0", "attributes", "stride", to=10**9), "must be 2 to 6"),
        (setting("down1.1", "inputs", "residual", to="stem.0"), "its input 'residual' is"),
        (setting("down1.1", "inputs", "residual", to="coords"), "its input 'residual' is int32"),
        (setting("up1.skip", "inputs", "b", to="stem.0"), "its input 'b' is"),
        (setting("points.at", "inputs", "weights", to="corners"), "its input 'weights' is int32"),
        # names
        (setting("stem.0", "name", to="stem\n0"), "should match pattern"),
        (setting("stem.0", "name", to="\x1b[31m"), "should match pattern"),
        (setting("stem.0", "name", to="a" * 10_000), "should match pattern"),
        (setting("stem.0", "weights", "kernel", to=["a"]), "valid string"),
        (adding(operations=[]), "at least 1 item"),
        (adding(operations=[NOTHING] * 20_000), "at most 10000 items"),
        (adding(operations="none"), "operations"),
        (adding(format=2), "format"),
        (adding(inputs={}), "inputs"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, change: Change, expected: str) -> None:
    message = refusal(write_changed(tmp_path / "b", change))
    assert message.startswith("graph.json: ")
    assert expected in message


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (setting("maps.corners", "inputs", "coords", to="coords1"), "'stride' is 4, but the voxels are of edge 2"),
        (setting("maps.down1", "attributes", "rows", to="voxels/1"), "is 'voxels/1', which another operation uses"),
        (setting("maps.down1", "attributes", "rows", to="voxels/2"), "is 'voxels/2', which another operation uses"),
        (setting("maps.down1", "attributes", "rows", to="1000"), "is 1000, expected the name of a size"),
        (setting("maps.down1", "attributes", "rows", to="two words"), "a size of its result is out of range"),
        (setting("maps.down0", "attributes", "stride", to=3), "its input 'offset' is not of a stride of 2"),
        (setting("maps.ancestors", "inputs", "values", to="parent0"), "counts rows of voxels/2, not of voxels/1"),
        (setting("points.at", "inputs", "features", to="stem.0"), "counts rows of voxels/4, not of voxels/1"),
        (setting("points.mean", "inputs", "rows", to="parent0"), "counts rows of voxels/2, not of voxels/4"),
        (setting("up2.0", "inputs", "features", to="points.fuse"), "counts rows of voxels/2, not of voxels/4"),
        (setting("down2.0", "inputs", "features", to="stem.0"), "counts rows of voxels/2, not of voxels/1"),
    ],
)  # fmt: skip
def test_tables_that_point_elsewhere(tmp_path: Path, change: Change, expected: str) -> None:
    """Shapes of these fit where the kernel would read rows that do not exist."""
    message = refusal(write_changed(tmp_path / "b", change))
    assert expected in message


def test_coordinates_are_no_table(tmp_path: Path) -> None:
    net = unet()
    net.layer("sparse_convolution", "odd", {"features": "up2.0", "table": "coords"}, (4, 8, 8))
    assert "'table' counts no rows" in refusal(write_files(tmp_path, graph_of(net), net.tensors))


def test_rows_of_a_frame_are_no_channels(tmp_path: Path) -> None:
    """A kernel as wide as a frame has voxels would have another size for every frame."""
    net = unet()
    graph = graph_of(net)
    graph["inputs"]["features"]["shape"] = ["voxels/1", "voxels/1"]
    assert "graph.json" in refusal(write_files(tmp_path, graph, net.tensors))


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"coords": ["int32", ["voxels/1", 4]]}, "'stem.0' needs 'features'"),
        ({"features": ["float16", ["voxels/1", 4]]}, "its input 'features' is float16"),
        ({"features": ["float32", ["points", 4]]}, "counts rows of voxels/1, not of points"),
        ({"features": ["float32", ["voxels/1", 4]], "coords": ["int32", ["voxels/1", 3]]}, "its input 'coords' is"),
        ({"more": ["float32", [1]]}, "the input 'more' is float32 [1], expected none"),
        ({"more": ["float32", [10**9]]}, "inputs.more.shape"),
        ({"more": ["float32", [0]]}, "inputs.more.shape"),
        ({"more": ["float32", [1, 1, 1, 1, 1, 1]]}, "at most 5 items"),
    ],
)  # fmt: skip
def test_inputs_that_no_engine_gives(tmp_path: Path, inputs: dict[str, Any], expected: str) -> None:
    net = unet()
    graph = graph_of(net)
    changed = {role: {"dtype": dtype, "shape": shape} for role, (dtype, shape) in inputs.items()}
    graph["inputs"] = changed if len(changed) == 1 and "coords" in changed else graph["inputs"] | changed
    assert expected in refusal(write_files(tmp_path, graph, net.tensors))


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ({"scores": "stem.0"}, "the output 'scores' is float32 [voxels/1, 8], expected float32 [voxels/1, 3]"),
        ({"labels": "scores"}, "its outputs are ['labels'], expected ['scores']"),
        ({"scores": "scores", "more": "stem.0"}, "its outputs are ['more', 'scores'], expected ['scores']"),
        ({"scores": "coords"}, "the output 'scores' is int32"),
    ],
)
def test_outputs_that_are_no_scores(tmp_path: Path, outputs: dict[str, str], expected: str) -> None:
    net = unet()
    graph = graph_of(net) | {"outputs": outputs}
    assert expected in refusal(write_files(tmp_path, graph, net.tensors))


def test_as_many_classes_as_the_description_names(tmp_path: Path) -> None:
    net = unet()
    description = description_of(classes=["car", "road"], colors=[[0, 0, 0]] * 2)
    write_files(tmp_path, graph_of(net), net.tensors, description)
    assert "expected float32 [voxels/1, 2]" in refusal(tmp_path)


def test_more_memory_than_any_robot_has(tmp_path: Path) -> None:
    """A million channels of which no weights speak: they come from concatenating a value with itself."""
    net = unet()
    value = "up2.0"
    for number in range(17):
        value = net.features("concatenate", f"wide.{number}", {"a": value, "b": value})
    write_files(tmp_path, graph_of(net), net.tensors)
    message = refusal(tmp_path)
    assert "graph.json: 'wide." in message
    assert "GiB for 300000 voxels" in message


def test_memory_counts_only_what_is_needed_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of sums needs the same however long it is."""
    net = unet()
    value = "up2.0"
    for number in range(200):
        value = net.features("add", f"long.{number}", {"a": value, "b": value})
    weights = net.operations[-201]["weights"]
    net.operations = [one for one in net.operations if one["name"] != "classifier"]
    net.add("linear", "classifier", {"features": value}, {"features": "scores"}, weights=weights)
    write_files(tmp_path, graph_of(net), net.tensors)
    bytes_of_value = 300_000 * 8 * 4
    monkeypatch.setattr(deployment_checks, "MOST_FRAME_BYTES", 60 * bytes_of_value)
    load_bundle(tmp_path)
    monkeypatch.setattr(deployment_checks, "MOST_FRAME_BYTES", 10 * bytes_of_value)
    assert "GiB" in refusal(tmp_path)


def test_a_large_stack_of_channels_overflows_no_count(tmp_path: Path) -> None:
    net = unet()
    value = "up2.0"
    for number in range(70):
        value = net.features("concatenate", f"wide.{number}", {"a": value, "b": value})
    assert "wide." in refusal(write_files(tmp_path, graph_of(net), net.tensors))


def test_a_region_whose_file_is_no_part_of_the_bundle(tmp_path: Path) -> None:
    net = unet()
    region = {"file": "head.onnx", "shapes": {"scores": ["voxels/1", 3]}}
    net.add("dense_region", "head", {"features": "up2.0"}, {"scores": "head"}, attributes=region)
    write_files(tmp_path, graph_of(net, "head"), net.tensors)
    assert "no checksum of 'head.onnx'" in refusal(tmp_path)


@pytest.mark.parametrize("costs", [{"blocks": -1}, {"blocks": ["a"]}, 3, "many"])
def test_a_region_whose_arithmetic_is_no_count(tmp_path: Path, costs: Any) -> None:
    net = unet()
    region = {"file": "head.onnx", "shapes": {"scores": ["voxels/1", 3]}, "multiplications": costs}
    net.add("dense_region", "head", {"features": "up2.0"}, {"scores": "head"}, attributes=region)
    write_files(tmp_path, graph_of(net, "head"), net.tensors)
    assert "'multiplications' must hold counts" in refusal(tmp_path)


@pytest.mark.parametrize("file", ["../head.onnx", "/head.onnx", "a\\head.onnx", ".onnx", "head.txt", ""])
def test_a_region_outside_the_bundle(tmp_path: Path, file: str) -> None:
    net = unet()
    region = {"file": file, "shapes": {"scores": ["voxels/1", 3]}}
    net.add("dense_region", "head", {"features": "up2.0"}, {"scores": "head"}, attributes=region)
    write_files(tmp_path, graph_of(net, "head"), net.tensors)
    assert "expected the name of an .onnx file" in refusal(tmp_path)
