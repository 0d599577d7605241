"""The backends of a frame's tables: same meaning, other means."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from perception.models.spvcnn import SPVCNN
from perception.nn.backends import NATIVE, REFERENCE
from perception.nn.fusion import fuse
from perception.nn.sparse_tensor import SparseTensor
from perception.nn.tables import FrameTables
from tests.nn.frames import frame
from tests.ops.devices import Device


def relative_error(actual: Tensor, expected: Tensor) -> float:
    expected = expected.detach()
    return float((actual.detach().double().cpu() - expected.double()).norm() / expected.double().norm())


@pytest.fixture
def coords() -> Tensor:
    return frame(voxels=500, extent=20)


@pytest.fixture
def network() -> SPVCNN:
    torch.manual_seed(0)
    network = SPVCNN(classes=5, width=0.25)
    network.dropout.p = 0.0
    return network


def test_the_reference_has_the_types_of_its_input(coords: Tensor, network: SPVCNN) -> None:
    features = torch.randn(len(coords), 4)
    single = network.eval().label(FrameTables(coords, REFERENCE), features)
    double = copy.deepcopy(network).double().label(FrameTables(coords, REFERENCE), features.double())
    assert (single.dtype, double.dtype) == (torch.float32, torch.float64)
    assert relative_error(single, double) < 1e-5


def test_both_give_the_same_scores(coords: Tensor, network: SPVCNN) -> None:
    network.eval()
    features = torch.randn(len(coords), 4)
    native = network.label(FrameTables(coords), features)
    expected = network.double().label(FrameTables(coords, REFERENCE), features.double())
    assert relative_error(native, expected) < 1e-5


def test_a_fused_network_runs_on_both(coords: Tensor, network: SPVCNN) -> None:
    features = torch.randn(len(coords), 4)
    fused = fuse(network)
    with torch.inference_mode():
        native, plain = (fused.label(FrameTables(coords, backend), features) for backend in (NATIVE, REFERENCE))
    assert relative_error(native, plain) < 1e-5


def test_native_tables_are_arrays_and_plain_ones_tensors(coords: Tensor) -> None:
    for stride in (1, 2, 4):
        native, plain = FrameTables(coords.numpy()), FrameTables(coords.numpy(), REFERENCE)
        assert not isinstance(native.coords(stride), Tensor)
        assert torch.equal(plain.coords(stride), torch.from_numpy(native.coords(stride)))
        assert torch.equal(plain.submanifold(stride), torch.from_numpy(native.submanifold(stride)))
        assert torch.equal(plain.down(stride), torch.from_numpy(native.down(stride)))
    assert torch.equal(plain.ancestors(8), torch.from_numpy(native.ancestors(8)))


@pytest.mark.parametrize("backend", [NATIVE, REFERENCE], ids=["native", "reference"])
def test_autocast_computes_convolutions_in_half(backend: object, coords: Tensor, network: SPVCNN) -> None:
    features = torch.randn(len(coords), 4)
    types: dict[str, torch.dtype] = {}
    for name in ("stem.0", "stage1.0.net.0", "stage2.1.downsample.0", "up1.0.net.0"):
        network.get_submodule(name).register_forward_hook(
            lambda _module, _input, output, name=name: types.update({name: output.features.dtype})
        )
    expected = network.label(FrameTables(coords, REFERENCE), features)
    with torch.autocast("cpu", dtype=torch.float16):
        scores = network.label(FrameTables(coords, backend), features)
    assert set(types.values()) == {torch.float16}
    assert len(types) == 4
    assert relative_error(scores, expected.detach()) < 3e-2
    scores.float().square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.dtype == torch.float32
        assert parameter.grad.isfinite().all(), name


def test_autocast_to_another_type_changes_nothing_in_a_convolution(coords: Tensor, network: SPVCNN) -> None:
    convolution, features = network.stem[0], torch.randn(len(coords), 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = convolution(SparseTensor(features, FrameTables(coords))).features
    assert torch.equal(result, convolution(SparseTensor(features, FrameTables(coords))).features)


@pytest.mark.gpu
def test_cuda_tensors_stay_on_the_gpu(device: Device, coords: Tensor, network: SPVCNN) -> None:
    features = torch.randn(len(coords), 4)
    expected = network.label(FrameTables(coords, REFERENCE), features)
    tables = FrameTables(device.array(coords.numpy()))
    network = network.cuda()
    scores = network.label(tables, features.cuda())
    for table in (tables.coords(4), tables.submanifold(2), tables.down(8), *tables.up(1), *tables.corners(16)):
        assert table.is_cuda
    assert scores.is_cuda
    assert relative_error(scores, expected) < 1e-3
    with torch.autocast("cuda", dtype=torch.float16):
        halves = network.label(tables, features.cuda())
    assert relative_error(halves, expected) < 3e-2
    (scores.square().mean() + halves.float().square().mean()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.is_cuda
        assert parameter.grad.isfinite().all(), name
    with torch.inference_mode():
        plain, fused = network.eval().label(tables, features.cuda()), fuse(network).label(tables, features.cuda())
    assert relative_error(fused, plain.cpu()) < 1e-3
