"""Batch-norm statistics of a network that was cut out of a supernet, or whose weights were averaged."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from perception.models.network import SegmentationNetwork
from perception.training.batches import Batch, VoxelBatch


def recalibrate(network: SegmentationNetwork, batches: Iterable[Batch]) -> None:
    """Set the running statistics of every batch norm to their plain average over the batches.

    The statistics of a supernet fit none of its networks: every one sees other activations (Yu and Huang, Universally
    Slimmable Networks, ICCV 2019, section 3.2). The network is left in evaluation mode.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
    momenta = [norm.momentum for norm in norms]
    network.eval()  # no dropout, which would widen the statistics
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average
        norm.train()
    with torch.no_grad():
        for batch in batches:
            assert isinstance(batch, VoxelBatch)
            network.label(batch.tables, batch.features)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
