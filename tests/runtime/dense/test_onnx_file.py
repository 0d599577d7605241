"""ONNX files are looked through before an engine sees them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from perception.configuration import ConfigurationError
from perception.runtime.dense.onnx_file import read_network
from perception.runtime.dense.settings import SIZES_KEY, SizeRange, stated_sizes
from tests.runtime.dense.networks import convolution


def external(name: str) -> TensorProto:
    tensor = numpy_helper.from_array(np.zeros(2, np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../secrets"
    return tensor


def in_the_graph(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(external("far"))


def in_a_node(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["unused"], value=external("far")))


def in_a_branch(model: onnx.ModelProto) -> None:
    branch = helper.make_graph([], "branch", [], [], [external("far")])
    model.graph.node.append(helper.make_node("If", ["features"], ["unused"], then_branch=branch, else_branch=branch))


def in_a_function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["out"], value=external("far"))
    opset = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("own", "Function", [], ["out"], [node], opset))


def among_sparse_tensors(model: onnx.ModelProto) -> None:
    indices = numpy_helper.from_array(np.arange(2), "indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(external("far"), indices, [4]))


def test_a_whole_file_is_read_as_it_is(tmp_path: Path) -> None:
    path, _ = convolution(tmp_path / "net.onnx")
    assert read_network(path) == path.read_bytes()


@pytest.mark.parametrize("hide", [in_the_graph, in_a_node, in_a_branch, in_a_function, among_sparse_tensors])
def test_weights_in_other_files_are_refused(tmp_path: Path, hide: object) -> None:
    path, _ = convolution(tmp_path / "net.onnx")
    model = onnx.load(path)
    assert callable(hide)
    hide(model)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ConfigurationError, match=r"net\.onnx: 'far' lies in another file"):
        read_network(path)


@pytest.mark.parametrize("content", [b"", b"\x00", b"not a network at all", b"\x38\x01"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"net\.onnx: not an ONNX file"):
        read_network(tmp_path / "net.onnx")


@settings(deadline=None)
@given(st.data())
def test_damage_is_found_or_harmless_but_never_another_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path, _ = convolution(tmp_path_factory.getbasetemp() / "net.onnx")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with contextlib.suppress(ConfigurationError):
        assert read_network(path) == path.read_bytes()


def test_sizes_travel_with_the_file(tmp_path: Path) -> None:
    path, _ = convolution(tmp_path / "net.onnx")
    assert stated_sizes(path.read_bytes(), path) == {}
    model = onnx.load(path)
    helper.set_model_props(model, {"other": "1", SIZES_KEY: json.dumps({"blocks": [1, 8, 32]})})
    assert stated_sizes(model.SerializeToString(), path) == {"blocks": SizeRange(1, 8, 32)}


@pytest.mark.parametrize("text", ["[", "3", '{"blocks": 3}', '{"blocks": [1, 8]}', '{"blocks": [4, 2, 8]}'])
def test_sizes_that_make_no_sense_are_refused(tmp_path: Path, text: str) -> None:
    path, _ = convolution(tmp_path / "net.onnx")
    model = onnx.load(path)
    helper.set_model_props(model, {SIZES_KEY: text})
    with pytest.raises(ConfigurationError, match=r"net\.onnx: "):
        stated_sizes(model.SerializeToString(), path)
