from __future__ import annotations

import numpy as np
import pytest
import torch

from perception.classes import IGNORED
from perception.training.losses import class_weights, lovasz_softmax, segmentation_loss


def _jaccard_loss(predicted: torch.Tensor, truth: torch.Tensor) -> float:
    """1 - IoU averaged over the classes present: what the Lovasz loss extends to probabilities."""
    losses = []
    for class_id in torch.unique(truth):
        hit = ((predicted == class_id) & (truth == class_id)).sum()
        union = ((predicted == class_id) | (truth == class_id)).sum()
        losses.append(1 - float(hit / union))
    return float(np.mean(losses))


@pytest.mark.parametrize("seed", range(5))
def test_lovasz_is_the_jaccard_loss_where_predictions_are_certain(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, 4, (60,), generator=generator)
    predicted = torch.where(torch.rand(60, generator=generator) < 0.7, truth, 3 - truth)
    certain = torch.nn.functional.one_hot(predicted, 4).float()
    assert float(lovasz_softmax(certain, truth)) == pytest.approx(_jaccard_loss(predicted, truth), abs=1e-6)


def test_gradients_are_right() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(12, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    truth = torch.tensor([0, 1, 2, 255] * 3)
    weights = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: segmentation_loss(x, truth, weights, 0.7), scores)


def test_ignored_voxels_do_not_count() -> None:
    scores, weights = torch.randn(10, 3), torch.ones(3)
    truth = torch.tensor([0, 1, 2, 0, 1] + [IGNORED] * 5)
    other = scores.clone()
    other[5:] = 100 * torch.randn(5, 3)
    assert torch.equal(segmentation_loss(scores, truth, weights, 1.0), segmentation_loss(other, truth, weights, 1.0))


def test_nothing_but_ignored_voxels_is_no_loss() -> None:
    scores = torch.randn(4, 3, requires_grad=True)
    loss = segmentation_loss(scores, torch.full((4,), IGNORED), torch.ones(3), 1.0)
    loss.backward()
    assert loss.item() == 0
    assert scores.grad is not None
    assert not scores.grad.any()


def test_rare_classes_weigh_more_and_absent_ones_nothing() -> None:
    weights = class_weights(np.array([100, 1, 0]), power=0.5)
    torch.testing.assert_close(weights, torch.tensor([0.1, 1.0, 0.0]) / 0.55)
