"""Set abstraction and feature propagation (Qi et al., PointNet++, NeurIPS 2017), as PVCNN++ uses them.

Plain vectorised PyTorch: all pairs of centres and points are compared, which suits the few thousand points of an object
or a room and no more. Parameter names and arithmetic are those of the official PVCNN release. Clouds and features are
batches with the points last: coordinates [B, 3, N], features [B, C, N].
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from perception.nn.pvconv import Points, SharedMLP

NEIGHBORS = 3
LEAST_DISTANCE2, LARGEST_DISTANCE2 = 1e-10, 1e10


def farthest_points(coordinates: Tensor, count: int) -> Tensor:
    """Choose points that cover the cloud: the first one, then always the one farthest from those chosen.

    Args:
        coordinates: float [B, 3, N], N at least 1.
        count: how many; more than N repeats points.

    Returns:
        int64 [B, count], their indices.
    """
    batches, _, points = coordinates.shape
    chosen = torch.zeros(batches, count, dtype=torch.int64, device=coordinates.device)
    distance2 = coordinates.new_full((batches, points), torch.inf)
    for number in range(1, count):
        latest = coordinates.gather(2, chosen[:, None, number - 1, None].expand(-1, 3, -1))
        distance2 = torch.minimum(distance2, (coordinates - latest).square().sum(1))
        chosen[:, number] = distance2.argmax(1)
    return chosen


def ball_query(centers: Tensor, coordinates: Tensor, radius: float, count: int) -> Tensor:
    """Find the first points, in the order of the cloud, that are closer to each centre than a radius.

    Args:
        centers: float [B, 3, M].
        coordinates: float [B, 3, N], N at least 1.
        radius: in the unit of the coordinates.
        count: points a centre; where there are fewer, the first one is repeated, and where there is none, point 0.

    Returns:
        int64 [B, M, count], their indices.
    """
    points = coordinates.shape[2]
    numbers = torch.arange(points, dtype=torch.int32, device=coordinates.device)
    near = torch.where(_distances2(centers, coordinates) < radius**2, numbers, points)
    found = near.topk(min(count, points), dim=2, largest=False, sorted=True).values
    first = torch.where(found[:, :, :1] < points, found[:, :, :1], 0)
    found = torch.where(found < points, found, first)
    return torch.cat([found, first.expand(-1, -1, count - found.shape[2])], dim=2).long()


def group(features: Tensor, indices: Tensor) -> Tensor:
    """Gather float [B, C, N] at int64 [B, M, U]: [B, C, M, U]."""
    batches, channels, _ = features.shape
    flat = indices.flatten(1).unsqueeze(1).expand(-1, channels, -1)
    return features.gather(2, flat).reshape(batches, channels, *indices.shape[1:])


def interpolate(coordinates: Tensor, centers: Tensor, features: Tensor) -> Tensor:
    """Spread the features of centres to points: the three nearest, weighted by the inverse of the squared distance.

    Args:
        coordinates: float [B, 3, N], of the points.
        centers: float [B, 3, M], M at least 1.
        features: float [B, C, M].

    Returns:
        float [B, C, N].
    """
    distance2, nearest = _distances2(coordinates, centers).topk(min(NEIGHBORS, centers.shape[2]), 2, largest=False)
    weights = 1 / distance2.clamp(LEAST_DISTANCE2, LARGEST_DISTANCE2)
    weights = weights / weights.sum(2, keepdim=True)
    return (group(features, nearest) * weights.unsqueeze(1)).sum(3)


class SetAbstraction(nn.Module):
    """Fewer points, each with the maximum of what an MLP sees in its surroundings.

    Args:
        in_channels: features of each point.
        out_channels: of each layer of the MLP.
        centers: how many points are kept.
        radius: of the surroundings, in the unit of the coordinates.
        neighbors: how many points of the surroundings are looked at.
    """

    def __init__(
        self, in_channels: int, out_channels: Sequence[int], centers: int, radius: float, neighbors: int
    ) -> None:
        super().__init__()
        self.centers, self.radius, self.neighbors = centers, radius, neighbors
        # A list of one: the official module can look at several radii.
        self.mlps = nn.ModuleList([SharedMLP(in_channels + 3, out_channels, dimensions=2)])

    def forward(self, points: Points) -> Points:
        """Reduce features [B, C, N] and coordinates [B, 3, N] to [B, out_channels[-1], centers] and [B, 3, centers]."""
        features, coordinates = points
        chosen = farthest_points(coordinates.detach(), self.centers)
        centers = group(coordinates, chosen.unsqueeze(2)).squeeze(3)
        indices = ball_query(centers.detach(), coordinates.detach(), self.radius, self.neighbors)
        relative = group(coordinates, indices) - centers.unsqueeze(3)
        surroundings = torch.cat([relative, group(features, indices)], dim=1)
        return self.mlps[0](surroundings).amax(3), centers


class FeaturePropagation(nn.Module):
    """Interpolation from few points back to many, joined with the features that the many had, and an MLP."""

    def __init__(self, in_channels: int, out_channels: Sequence[int]) -> None:
        super().__init__()
        self.mlp = SharedMLP(in_channels, out_channels)

    def forward(self, centers: Points, features: Tensor, coordinates: Tensor) -> Points:
        """Spread the centres' features to the points.

        Args:
            centers: features float [B, C, M] and coordinates float [B, 3, M].
            features: float [B, D, N] of the points, D may be 0; in_channels is C + D.
            coordinates: float [B, 3, N] of the points.

        Returns:
            features float [B, out_channels[-1], N] and the points' coordinates.
        """
        spread = interpolate(coordinates.detach(), centers[1].detach(), centers[0])
        return self.mlp(torch.cat([spread, features], dim=1)), coordinates


def _distances2(first: Tensor, second: Tensor) -> Tensor:
    """Squared distances [B, M, N] of [B, 3, M] and [B, 3, N], without the cancellation of a matrix product."""
    total = first.new_zeros(first.shape[0], first.shape[2], second.shape[2])
    for axis in range(3):
        total += (first[:, axis, :, None] - second[:, axis, None, :]).square()
    return total
