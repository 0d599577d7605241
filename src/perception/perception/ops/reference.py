"""What every operation means, in plain PyTorch: slow, short, differentiable, and the judge of the native kernels.

Coordinates are int32 [N, 4]: batch, x, y, z, in voxels of their own level. A table is int32 [N_out, K]: the input row
that weight K of an output row multiplies, -1 where there is none. Weight order as in the published checkpoints
(torchsparse 1.0 to 2.1): size 3 has x fastest, size 2 has z fastest. Weights are [K, C_in, C_out].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Voxels(NamedTuple):
    """Distinct voxels in order of first occurrence.

    Attributes:
        coords: int32 [M, 4], batch, x, y, z.
        first: int32 [M], the first row of the input that lies in each voxel.
        inverse: int32 [N], the voxel of each row of the input.
    """

    coords: Tensor
    first: Tensor
    inverse: Tensor


class Downsampling(NamedTuple):
    """The next coarser level, in order of first occurrence.

    Attributes:
        coords: int32 [M, 4], every distinct floor(xyz / stride) with its batch.
        parent: int32 [N], the coarse row above each fine row.
        offset: uint8 [N], where in its parent a fine voxel lies: (dx * stride_y + dy) * stride_z + dz.
    """

    coords: Tensor
    parent: Tensor
    offset: Tensor


def quantize(points: Tensor, voxel_size_m: float | Sequence[float]) -> Tensor:
    """Round xyz / voxel size (one, or one per axis) half to even, in float32: int32 [N, 3] from float32 [N, 3+]."""
    if not torch.isfinite(points[:, :3]).all():
        raise ValueError("points hold NaN or infinite coordinates; remove them first")
    return torch.round(points[:, :3] / torch.tensor(voxel_size_m, dtype=points.dtype)).to(torch.int32)


def unique(coords: Tensor) -> Voxels:
    """Find the distinct rows of int32 [N, 4], in order of first occurrence."""
    ordered, inverse = torch.unique(coords, dim=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    rows = torch.arange(len(coords))
    first = torch.full((len(ordered),), len(coords)).scatter_reduce(0, inverse, rows, "amin")
    order = torch.argsort(first)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order))
    return Voxels(ordered[order], first[order].int(), rank[inverse].int())


def voxelize(
    points: Tensor, voxel_size_m: float | Sequence[float], *, from_minimum: bool = True, batch: int = 0
) -> Voxels:
    """Quantize one cloud, shift each axis to start at 0 if `from_minimum`, and keep the distinct voxels."""
    xyz = quantize(points, voxel_size_m)
    if from_minimum and len(xyz):
        xyz = xyz - xyz.amin(0)
    return unique(torch.cat([torch.full_like(xyz[:, :1], batch), xyz], 1))


def downsample(coords: Tensor, stride: tuple[int, int, int] = (2, 2, 2)) -> Downsampling:
    """Lower the resolution by the rule `floor`: a coarse voxel at every distinct floor(xyz / stride)."""
    coarse = coords.clone()
    steps = torch.tensor(stride, dtype=torch.int32)
    coarse[:, 1:] = torch.div(coords[:, 1:], steps, rounding_mode="floor")
    d = coords[:, 1:] - steps * coarse[:, 1:]
    voxels = unique(coarse)
    offset = (d[:, 0] * stride[1] + d[:, 1]) * stride[2] + d[:, 2]
    return Downsampling(voxels.coords, voxels.inverse, offset.to(torch.uint8))


def query(coords: Tensor, wanted: Tensor) -> Tensor:
    """Find the row of `coords` [N, 4] that equals each row of `wanted` [Q, 4]: int32 [Q], -1 where there is none."""
    if not len(coords):
        return torch.full((len(wanted),), -1, dtype=torch.int32)
    low, high = coords.long().aminmax(dim=0)

    def number(voxels: Tensor) -> Tensor:  # each voxel of the box around `coords` has one of its own
        place, size = voxels.long() - low, high - low + 1
        return ((place[:, 0] * size[1] + place[:, 1]) * size[2] + place[:, 2]) * size[3] + place[:, 3]

    numbers, order = torch.sort(number(coords))
    sought = number(wanted)
    at = torch.searchsorted(numbers, sought).clamp(max=len(coords) - 1)
    inside = ((wanted >= low) & (wanted <= high)).all(1)
    return torch.where(inside & (numbers[at] == sought), order[at], -1).int()


def submanifold_table(coords: Tensor, kernel_size: int | tuple[int, int, int] = 3) -> Tensor:
    """Neighbours of every voxel in a box of odd sizes: int32 [N, K], x fastest."""
    size = (kernel_size,) * 3 if isinstance(kernel_size, int) else kernel_size
    xs, ys, zs = (range(-(edge // 2), edge // 2 + 1) for edge in size)
    steps = torch.tensor([[0, x, y, z] for z in zs for y in ys for x in xs], dtype=torch.int32)
    return torch.stack([query(coords, coords + step) for step in steps], 1)


def strided_table(parent: Tensor, offset: Tensor, coarse_count: int, volume: int = 8) -> Tensor:
    """Children of every coarse voxel, for the convolution whose size is its stride: int32 [M, volume]."""
    table = torch.full((coarse_count, volume), -1, dtype=torch.int32)
    table[parent.long(), offset.long()] = torch.arange(len(parent), dtype=torch.int32)
    return table


def transpose_table(table: Tensor, input_count: int) -> Tensor:
    """Turn a table around: int32 [N_in, K], the output row that each input row feeds through each weight, or -1."""
    output, weight = torch.nonzero(table >= 0, as_tuple=True)
    transposed = torch.full((input_count, table.shape[1]), -1, dtype=torch.int32)
    transposed[table[output, weight].long(), weight] = output.int()
    return transposed


def sparse_convolution(
    features: Tensor,
    table: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    residual: Tensor | None = None,
    relu: bool = False,
) -> Tensor:
    """Sum features[table[o, k]] @ weight[k] over k, then bias, residual and ReLU: [N_out, C_out]."""
    result = features.new_zeros(len(table), weight.shape[2])
    for k in range(weight.shape[0]):
        output = torch.nonzero(table[:, k] >= 0).reshape(-1)
        result = result.index_add(0, output, features[table[output, k].long()] @ weight[k])
    return _finish(result, bias, residual, relu)


def inverse_convolution(
    features: Tensor,
    parent: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    residual: Tensor | None = None,
    relu: bool = False,
) -> Tensor:
    """Go back to the fine level, size 2 and stride 2: features[parent[i]] @ weight[offset[i]], [N, C_out]."""
    result = features.new_zeros(len(parent), weight.shape[2])
    for k in range(weight.shape[0]):
        fine = torch.nonzero((offset == k) & (parent >= 0)).reshape(-1)
        result = result.index_add(0, fine, features[parent[fine].long()] @ weight[k])
    return _finish(result, bias, residual, relu)


def trilinear_table(points: Tensor, coords: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Find the 8 voxels around each point and their trilinear weights.

    Args:
        points: float32 [P, 4], batch and xyz in voxels of stride 1.
        coords: int32 [N, 4], voxels of the given stride, in units of that stride.
        stride: how many fine voxels a voxel of `coords` spans.

    Returns:
        int32 [P, 8] rows (-1 where absent; corner order x slowest, z fastest) and float32 [P, 8] weights: absent
        corners weigh 0, the rest are divided by their sum + 1e-8, as in torchsparse.
    """
    scaled = points[:, 1:] / stride
    base = torch.floor(scaled)
    fraction = scaled - base
    corners, weights = [], []
    for step in [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]:
        high = torch.tensor(step)
        corners.append(query(coords, torch.cat([points[:, :1], base + high], 1).int()))
        weights.append(torch.where(high.bool(), fraction, 1 - fraction).prod(1))
    indices = torch.stack(corners, 1)
    weight = torch.stack(weights, 1) * (indices >= 0)
    return indices, weight / (weight.sum(1, keepdim=True) + 1e-8)


def devoxelize(features: Tensor, indices: Tensor, weights: Tensor) -> Tensor:
    """Interpolate voxel features [N, C] at points: [P, C] = sum of weights [P, 8] times rows indices [P, 8]."""
    with_nothing = torch.cat([features, features.new_zeros(1, features.shape[1])])  # where the row -1 looks
    return (with_nothing[indices.long()] * weights.unsqueeze(2)).sum(1).to(features.dtype)


def scatter_mean(features: Tensor, index: Tensor, count: int) -> Tensor:
    """Average the features [P, C] of the points of each voxel: [count, C]; index -1 is left out, empty voxels are 0."""
    kept = torch.nonzero(index >= 0).reshape(-1)
    rows = index[kept].long()
    total = features.new_zeros(count, features.shape[1]).index_add(0, rows, features[kept])
    number = features.new_zeros(count).index_add(0, rows, features.new_ones(len(rows)))
    return total / number.clamp(min=1).unsqueeze(1)


def _finish(result: Tensor, bias: Tensor | None, residual: Tensor | None, relu: bool) -> Tensor:
    if bias is not None:
        result = result + bias
    if residual is not None:
        result = result + residual
    return torch.relu(result) if relu else result
