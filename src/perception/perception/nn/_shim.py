"""Stand-in for the native operations, in plain PyTorch, until they land in perception.ops."""

from __future__ import annotations

import torch
from torch import Tensor

from perception.ops.reference import (  # noqa: F401
    devoxelize,
    downsample,
    inverse_convolution,
    scatter_mean,
    sparse_convolution,
    strided_table,
    voxelize,
)


def _keys(coords: Tensor) -> Tensor:
    wide = coords.long()
    return ((wide[:, 0] * 65536 + wide[:, 1] + 16384) * 65536 + wide[:, 2] + 16384) * 65536 + wide[:, 3] + 16384


def lookup(coords: Tensor, queries: Tensor) -> Tensor:
    keys, order = _keys(coords).sort()
    wanted = _keys(queries)
    at = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    return torch.where(keys[at] == wanted, order[at], -1).int()


def submanifold_table(coords: Tensor) -> Tensor:
    columns = []
    for dz in (-1, 0, 1):
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                columns.append(lookup(coords, coords + torch.tensor([0, dx, dy, dz], dtype=torch.int32)))
    return torch.stack(columns, 1)


def trilinear_table(points: Tensor, coords: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    position = points[:, 1:].float() / stride
    base = position.floor()
    fraction = position - base
    rows, weights = [], []
    for dx in (0, 1):
        for dy in (0, 1):
            for dz in (0, 1):
                step = torch.tensor([dx, dy, dz])
                query = torch.cat([points[:, :1], (base + step).int()], 1)
                rows.append(lookup(coords, query))
                weights.append(torch.where(step.bool(), fraction, 1 - fraction).prod(1))
    index, weight = torch.stack(rows, 1), torch.stack(weights, 1)
    weight = weight * (index >= 0)
    return index, weight / (weight.sum(1, keepdim=True) + 1e-8)
