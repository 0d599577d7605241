"""PVConv on the native kernels equals PVConv on the reference operations, and both equal what they stand for."""

from __future__ import annotations

import pytest
import torch

from perception.nn.pvconv import PVConv, SharedMLP, SqueezeExcitation, grid_coordinates

PLACEMENTS = ["normalize", "center", "fixed"]


def cloud(channels: int, points: int = 60, batches: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and coordinates within -1..1, in double precision."""
    generator = torch.Generator().manual_seed(points)
    features = torch.randn(batches, channels, points, dtype=torch.float64, generator=generator)
    return features, torch.rand(batches, 3, points, dtype=torch.float64, generator=generator) * 1.8 - 0.9


def layer(**options) -> PVConv:
    torch.manual_seed(0)
    return PVConv(3, 8, 4, **options).double()


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("squeeze_excitation", [False, True])
def test_native_values_and_gradients_equal_the_reference(placement: str, squeeze_excitation: bool) -> None:
    double = layer(placement=placement, squeeze_excitation=squeeze_excitation)
    single = PVConv(3, 8, 4, placement=placement, squeeze_excitation=squeeze_excitation)
    single.load_state_dict(double.state_dict())
    features, coordinates = cloud(3)
    results = []
    for network, dtype in ((double, torch.float64), (single, torch.float32)):
        leaf = features.clone().to(dtype).requires_grad_()
        output, kept = network((leaf, coordinates.to(dtype)))
        assert output.dtype == dtype
        torch.testing.assert_close(kept, coordinates.to(dtype))
        output.square().sum().backward()
        results.append([output.detach(), leaf.grad, *(parameter.grad for parameter in network.parameters())])
    # The largest of all, because a bias before a batch norm has no gradient but rounding.
    largest = max(float(expected.abs().max()) for expected in results[0])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-6 * largest)


@pytest.mark.parametrize("squeeze_excitation", [False, True])
def test_gradients_equal_differences(squeeze_excitation: bool) -> None:
    network = PVConv(2, 2, 3, squeeze_excitation=squeeze_excitation).double()
    features, coordinates = cloud(2, points=9)
    # In evaluation mode: a bias before a batch norm of the batch itself has no gradient to compare.
    network.eval()
    values = tuple(parameter.detach().requires_grad_() for parameter in network.parameters())
    names = [name for name, _ in network.named_parameters()]

    def run(leaf: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        state = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(network, state, ((leaf, coordinates),))[0]

    assert torch.autograd.gradcheck(run, (features.requires_grad_(), *values))


def test_gradients_while_training_equal_differences() -> None:
    network = PVConv(2, 2, 3).double().train()
    features, coordinates = cloud(2, points=9)
    assert torch.autograd.gradcheck(lambda leaf: network((leaf, coordinates))[0], features.requires_grad_())


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_native_grids_equal_the_reference(placement: str) -> None:
    coordinates = cloud(1, points=200)[1]
    expected = grid_coordinates(coordinates, 8, placement)
    found = grid_coordinates(coordinates.float(), 8, placement)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)
    assert expected.min() >= 0
    assert expected.max() <= 7


def test_a_fixed_grid_keeps_the_scale_and_loses_nothing_at_its_ends() -> None:
    ends = torch.tensor([[-1.0, 0.0, 1.0, 1.5]]).expand(3, -1).unsqueeze(0)
    assert grid_coordinates(ends, 5, "fixed")[0, 0].tolist() == [0, 2, 4, 4]


def test_a_normalised_cloud_fills_the_grid_whatever_its_size() -> None:
    coordinates = cloud(1, points=100)[1]
    torch.testing.assert_close(
        grid_coordinates(coordinates, 16, "normalize"), grid_coordinates(coordinates * 7 + 3, 16, "normalize")
    )


def test_without_voxels_only_the_point_branch_is_left() -> None:
    network = layer()
    last = network.voxel_layers[4]
    last.weight.data.zero_()
    last.bias.data.zero_()
    features, coordinates = cloud(3)
    torch.testing.assert_close(network((features, coordinates))[0], network.point_features(features))


def test_the_voxel_branch_reaches_the_neighbours_and_no_farther() -> None:
    network = PVConv(1, 1, 9, placement="fixed").eval()
    network.point_features.layers[0].weight.data.zero_()
    coordinates = torch.zeros(1, 3, 9)
    coordinates[0, 0] = torch.linspace(-1, 1, 9)
    features = torch.zeros(1, 1, 9, requires_grad=True)
    network((features, coordinates))[0][0, 0, 4].backward()
    # Two convolutions of 3 reach two cells far; each point sits in the middle of a cell of its own.
    assert (features.grad[0, 0] != 0).tolist() == [False, False, True, True, True, True, True, False, False]


def test_squeeze_excitation_weighs_channels() -> None:
    module = SqueezeExcitation(8)
    volume = torch.randn(2, 8, 3, 3, 3)
    ratio = module(volume) / volume
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1, :1].expand_as(ratio))
    assert ((ratio > 0) & (ratio < 1)).all()
    assert SqueezeExcitation(4).fc[0].out_features == 1


@pytest.mark.parametrize(("dimensions", "shape"), [(1, (2, 3, 7)), (2, (2, 3, 7, 4))])
def test_a_shared_mlp_treats_points_alike(dimensions: int, shape: tuple[int, ...]) -> None:
    network = SharedMLP(3, [5, 4], dimensions).eval()
    features = torch.randn(shape)
    result = network(features)
    assert result.shape == (2, 4, *shape[2:])
    torch.testing.assert_close(network(features.flip(2)).flip(2), result)
    assert list(network.state_dict())[:2] == ["layers.0.weight", "layers.0.bias"]
