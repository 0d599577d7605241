"""Gradients of every layer and of small whole networks.

That the reference's are right is checked in float64 against finite differences, and that the kernels' in float32 are
the reference's, tensor by tensor.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from perception.bundle.architecture import SpvnasArchitecture
from perception.bundle.supernet import SupernetSpace, tensor_slices
from perception.models.minkunet import MinkUNet
from perception.models.spvcnn import SPVCNN
from perception.models.spvnas import SPVNAS, Supernet
from perception.nn.backends import NATIVE, REFERENCE, Backend
from perception.nn.blocks import BatchNorm, ConvolutionBlock, ReLU, ResidualBlock
from perception.nn.convolution import Conv3d
from perception.nn.exchange import points_from_voxels, voxels_from_points
from perception.nn.sparse_tensor import SparseTensor, concatenate
from perception.nn.tables import FrameTables
from tests.nn.frames import frame

TOLERANCE = 1e-4
WIDTHS = SpvnasArchitecture.uniform(4, (4, 4, 6, 6), (6, 4, 4, 4), depth=1)


class Exchange(nn.Module):
    """Points to the voxels of a level and back."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        voxels = voxels_from_points(tensor.features, tensor.tables, self.stride)
        points = points_from_voxels(voxels.with_features(voxels.features.square()))
        return tensor.with_features(points)


class Skip(nn.Module):
    """Two convolutions whose results are put side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Conv3d(2, 1, 1), Conv3d(2, 2, 1)

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        return concatenate([self.first(tensor), self.second(tensor)])


#: name -> what makes the layer, for 2 channels; the level that its input is on.
LAYERS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "pointwise": (lambda: Conv3d(2, 3, 1), 1),
    "submanifold": (lambda: Conv3d(2, 3, 3), 1),
    "submanifold on a coarse level": (lambda: Conv3d(2, 3, 3), 4),
    "down": (lambda: Conv3d(2, 3, 2), 1),
    "up": (lambda: Conv3d(2, 3, 2, transposed=True), 2),
    "batch norm": (lambda: BatchNorm(2), 1),
    "batch norm in evaluation": (lambda: BatchNorm(2).eval(), 1),
    "ReLU": (ReLU, 1),
    "concatenation": (Skip, 1),
    "block": (lambda: ConvolutionBlock(2, 3), 1),
    "block without ReLU": (lambda: ConvolutionBlock(2, 3, relu=False), 1),
    "block down": (lambda: ConvolutionBlock(2, 3, 2), 2),
    "block up": (lambda: ConvolutionBlock(2, 3, 2, transposed=True), 2),
    "residual": (lambda: ResidualBlock(2, 2), 1),
    "residual with a shortcut": (lambda: ResidualBlock(2, 3), 1),
    "exchange with level 1": (lambda: Exchange(1), 1),
    "exchange with level 4": (lambda: Exchange(4), 1),
    "exchange with level 16": (lambda: Exchange(16), 1),
}


class Applied(nn.Module):
    """A network of a supernet, with the supernet's weights."""

    def __init__(self) -> None:
        super().__init__()
        space = SupernetSpace(largest=SpvnasArchitecture.uniform(4, (4, 6, 6, 8), (8, 6, 6, 4)), granularity=2)
        self.supernet = Supernet(space, classes=3, input_channels=2)
        self.architecture = space.sample(np.random.default_rng(3), min_depth=1)
        used = tensor_slices(self.architecture, space.largest, classes=3, input_channels=2)
        for name, parameter in self.supernet.network.named_parameters():
            parameter.requires_grad_(name in used)  # the others are of blocks that the network leaves out

    def label(self, tables: FrameTables, features: Tensor) -> Tensor:
        return self.supernet.apply_network(self.architecture, tables, features)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "MinkUNet": lambda: MinkUNet(3, 0.125, input_channels=2),
    "SPVCNN": lambda: SPVCNN(3, 0.125, input_channels=2),
    "SPVNAS": lambda: SPVNAS(3, WIDTHS, input_channels=2),
    "supernet": Applied,
}


class Run:
    """A layer or network, as a function of its input and its parameters."""

    def __init__(self, module: nn.Module, coords: Tensor, stride: int = 1) -> None:
        self.stride = stride
        self._modules = {dtype: _Called(copy.deepcopy(module).to(dtype)) for dtype in (torch.float32, torch.float64)}
        self._tables = {backend: FrameTables(coords, backend) for backend in (NATIVE, REFERENCE)}

    def parameters(self) -> dict[str, Tensor]:
        """Those that are trained, without the history of the module."""
        named = self._modules[torch.float32].named_parameters()
        return {name: tensor.detach().clone() for name, tensor in named if tensor.requires_grad}

    def features(self) -> Tensor:
        """A random input."""
        rows = len(self._tables[NATIVE].coords(self.stride))
        return torch.randn(rows, 2, generator=torch.Generator().manual_seed(1))

    def __call__(self, backend: Backend, features: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        arguments = (self._tables[backend], features, self.stride)
        result: Tensor = functional_call(self._modules[features.dtype], parameters, arguments)
        return result


class _Called(nn.Module):
    """The one call that `functional_call` can make of layers (`forward`) and networks (`label`)."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, tables: FrameTables, features: Tensor, stride: int) -> Tensor:
        if hasattr(self.module, "label"):
            return self.module.label(tables, features)
        return self.module(SparseTensor(features, tables, stride)).features


def layer_run(name: str) -> Run:
    torch.manual_seed(0)
    make, stride = LAYERS[name]
    return Run(make(), frame(voxels=20, extent=5), stride)


def network_run(name: str) -> Run:
    torch.manual_seed(0)
    network = NETWORKS[name]()
    for module in network.modules():
        if hasattr(module, "dropout"):
            module.dropout.p = 0.0
    return Run(network, frame(voxels=400, extent=20))


def assert_gradients_are_those_of_finite_differences(run: Run, *, every: int = 1, fast: bool = False) -> None:
    """Check the gradient of the input and of every so many of the parameters."""
    parameters = run.parameters()
    named = dict(list(parameters.items())[::every])
    leaves = [run.features(), *named.values()]
    doubles = [leaf.double().requires_grad_() for leaf in leaves]

    def function(features: Tensor, *values: Tensor) -> Tensor:
        fixed = {name: tensor.double() for name, tensor in parameters.items()}
        return run(REFERENCE, features, fixed | dict(zip(named, values, strict=True)))

    assert torch.autograd.gradcheck(function, doubles, fast_mode=fast)


def assert_native_gradients_are_the_references(run: Run) -> None:
    found, wanted = (_gradients(run, backend, dtype) for backend, dtype in
                     ((NATIVE, torch.float32), (REFERENCE, torch.float64)))  # fmt: skip
    assert found.keys() == wanted.keys()
    largest = max(float(gradient.norm()) for gradient in wanted.values())
    errors = {}
    for name, expected in wanted.items():
        actual = found[name].double()
        if expected.norm() < 1e-12 * largest:  # a bias right before batch norm, which takes it away again
            assert name.endswith("bias"), f"{name} has no gradient"
            assert actual.norm() < 1e-5 * largest
        else:
            errors[name] = float((actual - expected).norm() / expected.norm())
    assert {name: error for name, error in errors.items() if not error < TOLERANCE} == {}


def _gradients(run: Run, backend: Backend, dtype: torch.dtype) -> dict[str, Tensor]:
    leaves = {"input": run.features(), **run.parameters()}
    leaves = {name: leaf.to(dtype).requires_grad_() for name, leaf in leaves.items()}
    features, *values = leaves.values()
    result = run(backend, features, dict(zip(run.parameters(), values, strict=True)))
    direction = torch.randn(result.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(dtype)
    gradients = torch.autograd.grad(result, list(leaves.values()), direction)
    return {"result": result.detach(), **dict(zip(leaves, gradients, strict=True))}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_of_the_reference(name: str) -> None:
    assert_gradients_are_those_of_finite_differences(layer_run(name))


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_of_the_kernels(name: str) -> None:
    assert_native_gradients_are_the_references(layer_run(name))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_the_reference(name: str) -> None:
    # Each parameter takes a second or two; 10 apart they are of every kind: kernels, scales and shifts in turn.
    assert_gradients_are_those_of_finite_differences(network_run(name), every=10, fast=True)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_the_kernels(name: str) -> None:
    assert_native_gradients_are_the_references(network_run(name))
