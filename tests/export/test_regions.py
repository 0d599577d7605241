"""Dense regions: few, with sizes left open, without batch norms, and their arithmetic counted."""

from __future__ import annotations

import math
from collections.abc import Callable

import onnx
import pytest
import torch
from torch import nn

from perception.bundle.operations import check_graph, multiplications
from perception.configuration import ConfigurationError
from perception.export.lowering import LoweredNetwork, lower
from perception.export.tracing import trace
from tests.export import networks


@pytest.fixture(scope="module")
def lowered() -> LoweredNetwork:
    return lower(trace(networks.make("pvcnn")), networks.BLOCKS)


def test_what_lies_between_the_same_kernels_is_one_region(lowered: LoweredNetwork) -> None:
    order = [operation.op for operation in lowered.graph.operations if not operation.op.startswith("grid")]
    assert order == ["dense_voxelize", "dense_region", "dense_devoxelize", "dense_region"] * 4
    assert list(lowered.regions) == [f"dense_{number}.onnx" for number in range(8)]


def test_regions_give_only_what_others_read(lowered: LoweredNetwork) -> None:
    read = {value for operation in lowered.graph.operations for value in operation.inputs.values()}
    made = {value for operation in lowered.graph.operations for value in operation.outputs.values()}
    assert made - read == {lowered.graph.outputs["scores"]}


def test_files_are_plain(lowered: LoweredNetwork) -> None:
    for content in lowered.regions.values():
        model = onnx.load_from_string(content)
        kinds = {node.op_type for node in model.graph.node}
        assert kinds <= {"Conv", "Gemm", "Relu", "LeakyRelu", "Add", "ReduceMax", "Concat", "Unsqueeze", "Expand",
                         "Shape", "Gather"}  # fmt: skip
        assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
        for value in (*model.graph.input, *model.graph.output):
            assert value.type.tensor_type.shape.dim[0].dim_param == "blocks"


def test_the_same_network_gives_the_same_bytes(lowered: LoweredNetwork) -> None:
    assert lower(trace(networks.make("pvcnn")), networks.BLOCKS).regions == lowered.regions


def test_multiplications_are_those_of_the_layers(lowered: LoweredNetwork) -> None:
    network, counted = networks.make("pvcnn"), []

    def count(module: nn.Module, _: object, output: torch.Tensor) -> None:
        weight = module.weight
        counted.append(output.numel() // output.shape[1] * math.prod(weight.shape))  # type: ignore[union-attr,arg-type]

    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv3d | nn.Linear):
            module.register_forward_hook(count)
    network(torch.from_numpy(networks.inputs("pvcnn")["points"]))
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = multiplications(check_graph(lowered.graph, shapes, "graph"), shapes, {"blocks": 3, "points": 50})
    assert sum(found.values()) == sum(counted)


class _Own(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.function(features)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Softplus(), r"'classifier\.1': the executor has no operation for 'Softplus'"),
        (nn.Conv1d(64, 64, 3, padding=1), r"'classifier\.1': .* 'Conv1d' .*axis of unknown size must have size 1"),
        (nn.BatchNorm1d(64), r"'classifier\.1': .* 'BatchNorm1d' .where no convolution or linear layer"),
        (_Own(torch.sort), r"'classifier\.1': .* 'sort'"),
        (_Own(lambda x: x + x.amax(2, keepdim=True)), r"'classifier\.1': .* 'amax'"),
        (_Own(lambda x: x + 1), r"'classifier\.1': .* 'add'"),
    ],
)
def test_a_layer_that_no_region_can_hold_is_named(layer: nn.Module, message: str) -> None:
    network = networks.make("pvcnn")
    network.classifier[1] = layer  # type: ignore[index]
    with pytest.raises(ConfigurationError, match=message):
        lower(trace(network), networks.BLOCKS)


def test_a_reduction_may_name_its_axis(lowered: LoweredNetwork) -> None:
    network = networks.make("pvcnn")
    network.classifier[1] = _Own(lambda x: torch.cat([x, x.amax(dim=2).unsqueeze(2).expand_as(x)], dim=1))  # type: ignore[index]
    with pytest.raises(ConfigurationError, match="'expand_as'"):  # and not of amax
        lower(trace(network), networks.BLOCKS)
