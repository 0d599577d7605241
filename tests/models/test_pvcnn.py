"""PVCNN and PVCNN++: the official names and shapes, any width, and native kernels equal to the reference."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from perception.models.checkpoints import load_checkpoint
from perception.models.pvcnn import PVCNN, PVCNN2

#: Some parameters of the official networks for S3DIS (13 classes, 9 input channels): name and shape.
OFFICIAL = {
    PVCNN: {
        "point_features.0.voxel_layers.0.weight": (64, 9, 3, 3, 3),
        "point_features.0.voxel_layers.1.running_mean": (64,),
        "point_features.0.point_features.layers.0.weight": (64, 9, 1),
        "point_features.2.voxel_layers.3.weight": (64, 64, 3, 3, 3),
        "point_features.3.voxel_layers.0.weight": (128, 64, 3, 3, 3),
        "point_features.4.layers.0.weight": (1024, 128, 1),
        "point_features.4.layers.1.weight": (1024,),
        "cloud_features.0.0.weight": (256, 1024),
        "cloud_features.1.0.weight": (128, 256),
        "cloud_features.1.1.running_var": (128,),
        "classifier.0.layers.0.weight": (512, 64 + 64 + 64 + 128 + 1024 + 128, 1),
        "classifier.2.layers.0.weight": (256, 512, 1),
        "classifier.4.weight": (13, 256, 1),
    },
    PVCNN2: {
        "sa_layers.0.0.voxel_layers.0.weight": (32, 9, 3, 3, 3),
        "sa_layers.0.0.voxel_layers.6.fc.0.weight": (4, 32),
        "sa_layers.0.1.voxel_layers.6.fc.2.weight": (32, 4),
        "sa_layers.0.2.mlps.0.layers.0.weight": (32, 32 + 3, 1, 1),
        "sa_layers.0.2.mlps.0.layers.3.weight": (64, 32, 1, 1),
        "sa_layers.1.3.mlps.0.layers.0.weight": (64, 64 + 3, 1, 1),
        "sa_layers.2.2.voxel_layers.3.weight": (128, 128, 3, 3, 3),
        "sa_layers.3.mlps.0.layers.0.weight": (256, 256 + 3, 1, 1),
        "sa_layers.3.mlps.0.layers.6.weight": (512, 256, 1, 1),
        "fp_layers.0.0.mlp.layers.0.weight": (256, 512 + 256, 1),
        "fp_layers.0.1.voxel_layers.0.weight": (256, 256, 3, 3, 3),
        "fp_layers.1.0.mlp.layers.0.weight": (256, 256 + 128, 1),
        "fp_layers.2.0.mlp.layers.0.weight": (256, 256 + 64, 1),
        "fp_layers.2.2.voxel_layers.0.weight": (128, 128, 3, 3, 3),
        "fp_layers.3.0.mlp.layers.0.weight": (128, 128 + 6, 1),
        "fp_layers.3.1.point_features.layers.0.weight": (64, 64, 1),
        "classifier.0.layers.0.weight": (128, 64, 1),
        "classifier.2.weight": (13, 128, 1),
    },
}
NETWORKS = [PVCNN, PVCNN2]


def inputs(points: int = 40, batches: int = 2) -> torch.Tensor:
    return torch.rand(batches, 9, points, generator=torch.Generator().manual_seed(points), dtype=torch.float64)


@pytest.mark.parametrize("kind", NETWORKS)
def test_official_names_and_shapes(kind: type[nn.Module]) -> None:
    state = kind(13).state_dict()
    shapes = {name: tuple(state[name].shape) for name in OFFICIAL[kind] if name in state}
    assert shapes == OFFICIAL[kind]
    prefixes = {name.split(".")[0] for name in state}
    assert prefixes == {name.split(".")[0] for name in OFFICIAL[kind]}


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_checkpoint_in_the_layout_of_the_release_loads(kind: type[nn.Module], tmp_path) -> None:
    network, other = kind(3, width=0.125), kind(3, width=0.125)
    state = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"epoch": 5, "model": state}, tmp_path / "best.pth.tar")
    load_checkpoint(other, tmp_path / "best.pth.tar")
    for expected, found in zip(network.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(expected, found)


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize(("width", "voxel_resolution"), [(0.125, 0.25), (0.3, 0.5)])
def test_any_width_native_equal_to_the_reference(kind, width: float, voxel_resolution: float) -> None:
    torch.manual_seed(0)
    double = kind(5, 9, width, voxel_resolution).double()
    single = kind(5, 9, width, voxel_resolution)
    single.load_state_dict(double.state_dict())
    results = []
    for network, dtype in ((double, torch.float64), (single, torch.float32)):
        leaf = inputs().to(dtype).requires_grad_()
        scores = network.eval()(leaf)
        assert scores.shape == (2, 5, 40)
        scores.softmax(1)[:, 0].sum().backward()
        results.append([scores.detach(), leaf.grad, *(parameter.grad for parameter in network.parameters())])
    largest = max(float(expected.abs().max()) for expected in results[0][1:])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-4 * largest)


def test_the_order_of_the_points_does_not_matter_to_pvcnn() -> None:
    network = PVCNN(4, 9, 0.25, 0.5).eval()
    cloud, order = inputs().float(), torch.randperm(40, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(network(cloud)[:, :, order], network(cloud[:, :, order]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", NETWORKS)
def test_it_learns_which_points_lie_high(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network = kind(2, 9, 0.125, 0.25)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    cloud = inputs(60, 4).float()
    truth = (cloud[:, 2] > 0.5).long()
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(cloud), truth).backward()
        optimizer.step()
    assert (network(cloud).argmax(1) == truth).float().mean() > 0.9


@pytest.mark.parametrize("kind", NETWORKS)
def test_few_points(kind: type[nn.Module]) -> None:
    assert kind(5, 9, 0.125, 0.25).eval()(inputs(1, 1).float()).shape == (1, 5, 1)
