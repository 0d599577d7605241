"""A fused network computes what the network computed."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from perception.models.pvcnn import PVCNN, PVCNN2
from perception.models.spvcnn import SPVCNN
from perception.nn.blocks import BatchNorm
from perception.nn.fusion import fuse


def _trained_looking(network: nn.Module) -> nn.Module:
    """Give the batch norms statistics that make a forgotten one visible."""
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 1.5, generator=generator)
            for tensor in (module.bias.data, module.running_mean):
                tensor.normal_(0, 0.2, generator=generator)
    return network.eval()


def test_same_scores_in_fewer_modules() -> None:
    torch.manual_seed(0)
    network = _trained_looking(SPVCNN(classes=5, width=0.125))
    coords = torch.unique(torch.randint(0, 24, (400, 4), dtype=torch.int32) * torch.tensor([0, 1, 1, 1]).int(), dim=0)
    features = torch.randn(len(coords), 4)
    fused = fuse(copy.deepcopy(network))
    with torch.inference_mode():
        torch.testing.assert_close(fused(coords, features), network(coords, features), rtol=1e-4, atol=1e-5)
    assert not any(isinstance(module, (BatchNorm, nn.BatchNorm1d)) for module in fused.modules())


@pytest.mark.parametrize("kind", [PVCNN, PVCNN2])
def test_dense_layers_too(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network = _trained_looking(kind(5, 6, 0.25, 0.25))
    points = torch.rand(2, 6, 50)
    fused = fuse(copy.deepcopy(network))
    with torch.inference_mode():
        torch.testing.assert_close(fused(points), network(points), rtol=1e-4, atol=1e-5)
    assert not any(isinstance(module, _BatchNorm) for module in fused.modules())
