"""What the maps of windows mean, in plain PyTorch; see `perception.ops.reference`."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from perception.ops.reference import query, unique

Three = tuple[int, int, int]


def voxel_counts(inverse: Tensor, voxel_count: int) -> Tensor:
    """How many rows lie in each voxel, int32 [M]; rows of -1 lie in none."""
    return torch.bincount(inverse[inverse >= 0], minlength=voxel_count).int()


def window_outputs(coords: Tensor, size: Three, stride: Three, padding: Three, shape: Three | None = None) -> Tensor:
    """Every voxel whose window holds an input, in order of first occurrence (input row, then weight): int32 [M, 4]."""
    outputs = []
    for batch, *voxel in coords.tolist():
        for weight in _weights(size):
            steps = [c + p - k for c, p, k in zip(voxel, padding, weight, strict=True)]
            if all(step % s == 0 for step, s in zip(steps, stride, strict=True)):
                outputs.append([batch, *(step // s for step, s in zip(steps, stride, strict=True))])
    found = unique(torch.tensor(outputs, dtype=torch.int32).reshape(-1, 4)).coords
    if shape is None:
        return found
    end = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(shape, padding, size, stride, strict=True)]
    return found[((found[:, 1:] >= 0) & (found[:, 1:] < torch.tensor(end))).all(1)]


def window_table(coords: Tensor, out_coords: Tensor, size: Three, stride: Three, padding: Three) -> Tensor:
    """The input at output * stride - padding + k, for every output and weight: int32 [M, K], x fastest."""
    first = out_coords * torch.tensor([1, *stride]) - torch.tensor([0, *padding])
    steps = torch.tensor([[0, *weight] for weight in _weights(size)])
    return torch.stack([query(coords, first + step) for step in steps], 1)


def _weights(size: Three) -> list[Three]:
    """Weights in the order of the tables: x fastest."""
    return [(x, y, z) for z, y, x in product(*(range(edge) for edge in size[::-1]))]
