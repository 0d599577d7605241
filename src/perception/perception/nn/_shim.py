"""Stand-in for the native operations, in plain PyTorch, until they land in perception.ops."""

from __future__ import annotations

import torch
from torch import Tensor


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


def downsample(coords: Tensor) -> tuple[Tensor, Tensor]:
    coarse = torch.cat([coords[:, :1], coords[:, 1:] >> 1], 1)
    unique, parents = torch.unique(coarse, dim=0, return_inverse=True)
    return unique, parents.int()


def _child(coords: Tensor) -> Tensor:
    low = coords & 1
    return (4 * low[:, 1] + 2 * low[:, 2] + low[:, 3]).long()


def strided_table(fine: Tensor, parents: Tensor, count: int) -> Tensor:
    table = torch.full((count, 8), -1, dtype=torch.int32)
    table[parents.long(), _child(fine)] = torch.arange(len(fine), dtype=torch.int32)
    return table


def transposed_table(fine: Tensor, parents: Tensor) -> Tensor:
    table = torch.full((len(fine), 8), -1, dtype=torch.int32)
    table[torch.arange(len(fine)), _child(fine)] = parents
    return table


def trilinear_corners(points: Tensor, coords: Tensor, stride: int) -> tuple[Tensor, Tensor]:
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


def sparse_convolution(features: Tensor, kernel: Tensor, table: Tensor) -> Tensor:
    output = features.new_zeros(len(table), kernel.shape[2])
    for offset in range(kernel.shape[0]):
        column = table[:, offset].long()
        present = (column >= 0).nonzero()[:, 0]
        output = output.index_add(0, present, features[column[present]] @ kernel[offset])
    return output


def interpolate(features: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    return (features[rows.clamp(min=0).long()] * weights[:, :, None].to(features.dtype)).sum(1)


def group_mean(features: Tensor, groups: Tensor, count: int) -> Tensor:
    total = features.new_zeros(count, features.shape[1]).index_add(0, groups, features)
    size = torch.bincount(groups, minlength=count).clamp(min=1)
    return total / size[:, None]
