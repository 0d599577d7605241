"""Graphs compute what their networks compute, with every weight under its published name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from perception.bundle.graph import Operation
from perception.bundle.supernet import NORM_COUNTER, NORM_VECTORS
from perception.configuration import ConfigurationError
from perception.export.lowering import LoweredNetwork, lower
from perception.export.tracing import trace
from perception.nn.blocks import BatchNorm, ReLU
from perception.nn.sparse_tensor import SparseTensor
from tests.export import networks

SPARSE = ("minkunet", "spvcnn", "spvnas")


def lowered(kind: str) -> LoweredNetwork:
    return lower(trace(networks.make(kind)), networks.specs(kind))


@pytest.mark.parametrize("kind", networks.BUILDERS)
def test_every_value_is_the_network_s(kind: str, tmp_path: Path) -> None:
    network, inputs = networks.make(kind), networks.inputs(kind)
    traced = trace(network)
    result = lower(traced, networks.specs(kind))
    found = networks.executor(network, result, tmp_path).run(inputs, keep=result.twins)
    names = {node: value for value, node in result.twins.items()}
    arguments = [torch.from_numpy(x) if x.dtype == np.float32 else x for x in inputs.values()]
    compared = 0
    for node, expected in traced.values(*arguments):
        if node in names:
            actual, compared = found[names[node]], compared + 1
            if np.asarray(expected).dtype == np.float32:
                assert networks.relative_error(actual, np.asarray(expected)) < 1e-5, names[node]
            else:
                np.testing.assert_array_equal(actual, expected, names[node])
    assert compared == len(result.twins) > 10
    assert (
        networks.relative_error(found["scores"], network(*map(torch.from_numpy, inputs.values())).detach().numpy())
        < 1e-5
    )


@pytest.mark.parametrize("kind", SPARSE)
def test_every_weight_is_used_once(kind: str) -> None:
    used = [name for operation in lowered(kind).graph.operations for name in _tensors(operation)]
    names = {name for name in networks.make(kind).state_dict() if not name.endswith(NORM_COUNTER)}
    if kind == "minkunet":  # its checkpoints hold transforms that nothing uses
        names = {name for name in names if not name.startswith("point_transforms")}
    assert sorted(used) == sorted(names)


@pytest.mark.parametrize("kind", SPARSE)
def test_norms_sums_and_rectifiers_become_part_of_layers(kind: str) -> None:
    operations = lowered(kind).graph.operations
    layers = [operation for operation in operations if "norm" in operation.weights]
    convolutions = [operation for operation in operations if "convolution" in operation.op]
    assert convolutions
    assert all("norm" in operation.weights for operation in convolutions)
    assert sum("residual" in operation.inputs for operation in layers) == 16
    sums = [operation for operation in operations if operation.op == "add"]
    assert len(sums) == (0 if kind == "minkunet" else 3)


@pytest.mark.parametrize("kind", networks.BUILDERS)
def test_tables_come_first(kind: str) -> None:
    stages = [operation.stage for operation in lowered(kind).graph.operations]
    tables = stages.count("maps")
    assert tables > 0
    assert set(stages[:tables]) == {"maps"}


def test_stages_are_those_of_the_network() -> None:
    spvcnn = dict.fromkeys(operation.stage for operation in lowered("spvcnn").graph.operations)
    assert set(spvcnn) == {"maps", "stem", "stage1", "stage2", "stage3", "stage4", "up1", "up2", "up3", "up4",
                           "point_transforms", "exchange", "classifier"}  # fmt: skip
    spvnas = {operation.stage for operation in lowered("spvnas").graph.operations}
    assert {"downsample.0", "downsample.3", "upsample.0", "upsample.3"} < spvnas


def test_an_unusual_epsilon_is_written() -> None:
    network = networks.make("minkunet")
    network.get_submodule("stem.1").eps = 1e-3
    operations = {operation.name: operation for operation in lower(trace(network), networks.SPARSE).graph.operations}
    assert operations["stem.0"].attributes["norm_epsilon"] == 1e-3
    assert "norm_epsilon" not in operations["stem.3"].attributes


class _Twice(nn.Module):
    def forward(self, tensor: SparseTensor) -> SparseTensor:
        return tensor.with_features((tensor.features + tensor.features).relu())


def test_a_sum_of_a_value_with_itself(tmp_path: Path) -> None:
    network, inputs = networks.make("minkunet"), networks.inputs("minkunet")
    network.stem[2] = _Twice()  # type: ignore[index]
    result = lower(trace(network), networks.SPARSE)
    found = networks.executor(network, result, tmp_path).run(inputs)["scores"]
    scores = network(*map(torch.from_numpy, inputs.values())).detach().numpy()
    assert networks.relative_error(found, scores) < 1e-5


class _Squash(nn.Module):
    def forward(self, tensor: SparseTensor) -> SparseTensor:
        return tensor.with_features(tensor.features.tanh())


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (_Squash(), "'stem.2': the executor has no operation for 'tanh'"),
        (nn.Sequential(ReLU(), ReLU()), "'stem.2.1': the executor has no operation for 'relu' .where no layer"),
        (nn.Sequential(ReLU(), BatchNorm(4)), "'stem.2.1': the executor has no operation for 'BatchNorm' .where no"),
    ],
)
def test_what_the_executor_cannot_do_is_named(layer: nn.Module, message: str) -> None:
    network = networks.make("minkunet")
    network.stem[2] = layer  # type: ignore[index]
    with pytest.raises(ConfigurationError, match=message):
        lower(trace(network), networks.SPARSE)


def _tensors(operation: Operation) -> list[str]:
    names = [name for role, name in operation.weights.items() if role != "norm"]
    norm = operation.weights.get("norm")
    return names + ([f"{norm}.{vector}" for vector in NORM_VECTORS] if norm else [])
