"""PointNet++ operations against loops that say the same, and its layers against differences."""

from __future__ import annotations

import pytest
import torch

from perception.nn.pointnet import FeaturePropagation, SetAbstraction, ball_query, farthest_points, group, interpolate


def cloud(points: int, batches: int = 2, channels: int = 3) -> torch.Tensor:
    return torch.rand(batches, channels, points, generator=torch.Generator().manual_seed(points)).double()


def test_the_farthest_points() -> None:
    line = torch.tensor([[0.0, 1.0, 10.0, 4.0, 9.0]]).unsqueeze(1).expand(-1, 3, -1)
    # From 0: 10 is farthest; then 4 (4 away from 0, 6 from 10); then 1 and 9 are both 1 away.
    assert farthest_points(line, 3).tolist() == [[0, 2, 3]]
    assert sorted(farthest_points(line, 5)[0].tolist()) == [0, 1, 2, 3, 4]
    assert farthest_points(line, 7).shape == (1, 7)


def test_each_cloud_has_farthest_points_of_its_own() -> None:
    coordinates = cloud(40)
    together = farthest_points(coordinates, 6)
    for number in range(2):
        torch.testing.assert_close(farthest_points(coordinates[number : number + 1], 6)[0], together[number])


@pytest.mark.parametrize("count", [1, 4, 50])
def test_the_ball_query_equals_a_loop(count: int) -> None:
    coordinates, centers = cloud(30), cloud(8)
    found = ball_query(centers, coordinates, 0.3, count)
    for batch in range(2):
        for center in range(8):
            offsets = coordinates[batch] - centers[batch, :, center, None]
            near = [number for number in range(30) if float(offsets[:, number].square().sum()) < 0.3**2][:count]
            near += [near[0] if near else 0] * (count - len(near))
            assert found[batch, center].tolist() == near


def test_the_border_of_the_ball_is_outside() -> None:
    coordinates = torch.tensor([[[0.0, 0.5, 0.25], [0, 0, 0], [0, 0, 0]]])
    assert ball_query(coordinates[:, :, :1], coordinates, 0.5, 3).tolist() == [[[0, 2, 0]]]


def test_grouping() -> None:
    features = cloud(5, channels=2)
    indices = torch.tensor([[[0, 4], [1, 1], [3, 2]], [[2, 2], [0, 1], [4, 0]]])
    expected = torch.stack([features[batch][:, indices[batch]] for batch in range(2)])
    assert torch.equal(group(features, indices), expected)


def test_interpolation_equals_a_loop() -> None:
    coordinates, centers, features = cloud(9), cloud(6), cloud(6, channels=4)
    found = interpolate(coordinates, centers, features)
    for batch in range(2):
        for point in range(9):
            distance2 = (centers[batch] - coordinates[batch, :, point, None]).square().sum(0)
            nearest = distance2.argsort()[:3]
            weights = 1 / distance2[nearest]
            expected = (features[batch][:, nearest] * weights).sum(1) / weights.sum()
            torch.testing.assert_close(found[batch, :, point], expected)


@pytest.mark.parametrize("centers", [1, 2])
def test_interpolation_from_few_centers(centers: int) -> None:
    found = interpolate(cloud(5), cloud(centers), torch.ones(2, 3, centers).double())
    torch.testing.assert_close(found, torch.ones(2, 3, 5).double())


def test_a_point_on_a_center_has_its_features() -> None:
    centers, features = cloud(4), cloud(4, channels=2)
    torch.testing.assert_close(interpolate(centers, centers, features), features, rtol=0, atol=1e-7)


def test_gradients_of_the_layers_equal_differences() -> None:
    torch.manual_seed(0)
    coordinates, features = cloud(12), cloud(12, channels=2).requires_grad_()
    abstraction, propagation = SetAbstraction(2, [4, 3], 5, 0.6, 4).double(), FeaturePropagation(5, [3]).double()

    def run(leaf: torch.Tensor) -> torch.Tensor:
        return propagation(abstraction((leaf, coordinates)), leaf, coordinates)[0]

    assert torch.autograd.gradcheck(run, features)
    parameters = [*abstraction.parameters(), *propagation.parameters()]
    assert all(gradient is not None for gradient in torch.autograd.grad(run(features).square().sum(), parameters))


def test_an_abstraction_looks_at_coordinates_relative_to_the_center() -> None:
    abstraction = SetAbstraction(2, [4], 5, 0.6, 4).double().eval()
    coordinates, features = cloud(12), cloud(12, channels=2)
    here, there = abstraction((features, coordinates)), abstraction((features, coordinates + 2))
    torch.testing.assert_close(here[0], there[0])
    torch.testing.assert_close(here[1] + 2, there[1])
