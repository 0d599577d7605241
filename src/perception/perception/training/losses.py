"""Losses for semantic segmentation."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from perception.classes import IGNORED


def segmentation_loss(scores: Tensor, classes: Tensor, class_weights: Tensor, lovasz_weight: float) -> Tensor:
    """Weighted cross entropy plus Lovasz-softmax, over the voxels that have a class.

    Args:
        scores: float [N, C], before softmax.
        classes: int64 [N], IGNORED where there is none.
        class_weights: float [C].
        lovasz_weight: factor of the Lovasz term.
    """
    kept = classes != IGNORED
    if not kept.any():
        return scores.sum() * 0
    scores, classes = scores[kept], classes[kept]
    loss = F.cross_entropy(scores, classes, class_weights)
    return loss + lovasz_weight * lovasz_softmax(scores.softmax(1), classes) if lovasz_weight else loss


def lovasz_softmax(probabilities: Tensor, classes: Tensor) -> Tensor:
    """Lovasz extension of the Jaccard loss, averaged over the classes present (Berman et al., CVPR 2018).

    Args:
        probabilities: float [N, C].
        classes: int64 [N], each below C.
    """
    truth = F.one_hot(classes, probabilities.shape[1]).T[torch.unique(classes)].to(probabilities.dtype)
    errors = (truth - probabilities.T[torch.unique(classes)]).abs()
    errors, order = errors.sort(dim=1, descending=True)
    return (errors * _jaccard_steps(truth.gather(1, order))).sum(1).mean()


def _jaccard_steps(truth: Tensor) -> Tensor:
    """How much each further error lowers the Jaccard index, for truths [C, N] sorted by falling error."""
    total = truth.sum(1, keepdim=True)
    intersection = total - truth.cumsum(1)
    union = total + (1 - truth).cumsum(1)
    jaccard = 1 - intersection / union
    return torch.diff(jaccard, dim=1, prepend=torch.zeros_like(total))


def class_weights(points_per_class: NDArray[np.int64], power: float) -> Tensor:
    """Weigh classes by ``points ** -power``, scaled to a mean of 1 over those that occur; the others get 0."""
    occurs = points_per_class > 0
    weights = np.where(occurs, np.maximum(points_per_class, 1).astype(np.float64) ** -power, 0.0)
    return torch.from_numpy((weights / weights[occurs].mean()).astype(np.float32))
