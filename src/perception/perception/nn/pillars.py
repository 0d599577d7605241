"""Features of pillars from the points in them, as the DynamicVFE of mmdet3d and of FlatFormer computes them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from perception import ops
from perception.nn.pillar_backends import PillarBackend

NORM_EPS, NORM_MOMENTUM = 1e-3, 0.01
#: Columns that a point gets beside its own: xyz less the pillar's mean, xyz less the pillar's centre.
PLACE_CHANNELS = 6


class PointLayer(nn.Module):
    """A linear layer, batch norm and ReLU for each point."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(out_channels, NORM_EPS, NORM_MOMENTUM)
        self.linear = nn.Linear(in_channels, out_channels, bias=False)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight [C_out, C_in] and bias [C_out] with the batch norm's running statistics in them."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        return scale[:, None] * self.linear.weight, norm.bias - scale * norm.running_mean

    def forward(self, features: Tensor) -> Tensor:
        """Compute float [K, C_out] from [K, C_in], by the statistics of the batch while training."""
        return self.norm(self.linear(features)).relu()


class DynamicVFE(nn.Module):
    """Point layers, each with a maximum over pillars; later layers see their pillar's maximum beside the point.

    Args:
        in_channels: of the points.
        channels: of each layer.
    """

    def __init__(self, in_channels: int, channels: Sequence[int]) -> None:
        super().__init__()
        inputs = [in_channels + PLACE_CHANNELS, *(2 * width for width in channels)]
        self.vfe_layers = nn.ModuleList(
            PointLayer(before, after) for before, after in zip(inputs, channels, strict=False)
        )

    def forward(self, points: Tensor, grid: ops.PillarGrid, pillars: ops.Pillars, backend: PillarBackend) -> Tensor:
        """Describe pillars: float [P, channels[-1]] from points float32 [N, in_channels].

        The half of a layer that sees the pillar is computed once a pillar instead of once a point.
        """
        of_points, of_pillars = backend.pillar_features(points, grid, pillars), None
        for layer in self.vfe_layers:
            of_points = self._layer(layer, of_points, of_pillars, pillars, backend)
            of_pillars = backend.segment_max(of_points, pillars)
        assert of_pillars is not None
        return of_pillars

    def _layer(
        self,
        layer: nn.Module,
        of_points: Tensor,
        of_pillars: Tensor | None,
        pillars: ops.Pillars,
        backend: PillarBackend,
    ) -> Tensor:
        assert isinstance(layer, PointLayer)
        if self.training:
            if of_pillars is not None:
                of_points = torch.cat([of_points, of_pillars[torch.as_tensor(pillars.pillar).long()]], 1)
            result: Tensor = layer(of_points)
            return result
        weight, bias = layer.folded()
        if of_pillars is None:
            return backend.linear(of_points, weight, bias, "relu")
        own = of_points.shape[1]
        residual = backend.linear(of_pillars, weight[:, own:].contiguous(), bias)
        options = {"residual": residual, "residual_rows": pillars.pillar}
        return backend.linear(of_points, weight[:, :own].contiguous(), None, "relu", **options)
