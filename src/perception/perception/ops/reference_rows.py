"""What the operations between layers mean, in plain PyTorch: the judge of the native kernels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

NO_CLASS = 255


def add_rows(a: Tensor, b: Tensor, relu: bool = False) -> Tensor:
    """Add, then set negative sums to 0 (NaN stays)."""
    total = a + b
    return total.relu() if relu else total


def concatenate_columns(tensors: Sequence[Tensor]) -> Tensor:
    """Join the columns of [N, C] tensors."""
    return torch.cat(tuple(tensors), 1)


def take_rows(values: Tensor, rows: Tensor) -> Tensor:
    """Take rows of features [M, C] (-1: zeros) or of indices [M] (-1: -1)."""
    absent = rows < 0
    if len(values) == 0:
        return values.new_full((len(rows), *values.shape[1:]), -1 if values.ndim == 1 else 0)
    taken = values[rows.long().clamp(min=0)]
    return taken.masked_fill(absent, -1) if values.ndim == 1 else taken.masked_fill(absent.unsqueeze(1), 0)


def best_class(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Give the first class of the highest score and its softmax: uint8 [N] and [N]; (255, 0) where that is NaN."""
    probabilities = torch.softmax(scores, 1)
    unknown = probabilities.isnan().any(1)
    highest = scores.amax(1, keepdim=True)
    class_ids = (scores == highest).int().argmax(1).masked_fill(unknown, NO_CLASS)
    return class_ids.to(torch.uint8), probabilities.amax(1).masked_fill(unknown, 0)


def spread_labels(class_ids: Tensor, probabilities: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    """Give each point the label of its voxel; (255, 0) where there is no such voxel."""
    known = (inverse >= 0) & (inverse < len(class_ids))
    rows = inverse[known].long()
    point_class_ids = torch.full((len(inverse),), NO_CLASS, dtype=torch.uint8)
    point_probabilities = torch.zeros(len(inverse))
    point_class_ids[known], point_probabilities[known] = class_ids[rows], probabilities[rows]
    return point_class_ids, point_probabilities
