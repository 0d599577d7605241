"""SPVCNN with its official widths, for what only shows at full size: speed, memory, rounding."""

from __future__ import annotations

import torch
from torch import nn

from perception.classes import SEMANTIC_KITTI
from perception.export.exporter import Source
from perception.export.self_check import made_up_street
from perception.models.spvcnn import SPVCNN
from perception.runtime.voxels import voxelize_frame

#: Edge of the voxels that the official networks were trained on.
VOXEL_SIZE_M = 0.05


def full_size_source(seed: int = 0) -> Source:
    """The network with drawn weights, and norms that keep features at about 1, as training would."""
    torch.manual_seed(seed)
    network = SPVCNN(len(SEMANTIC_KITTI), 1.0)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
    for norm in norms:
        norm.momentum = 1.0
    voxels = voxelize_frame(made_up_street(), 4 * VOXEL_SIZE_M)
    with torch.no_grad():
        network.train()(voxels.coords, torch.from_numpy(voxels.features))
    for norm in norms:
        norm.momentum = 0.1
    values = {
        "format": 1,
        "name": "spvcnn_full_size",
        "task": "segmentation",
        "network": {"model": "spvcnn", "width": 1.0},
        "classes": SEMANTIC_KITTI.names,
        "colors": SEMANTIC_KITTI.colors.tolist(),
        "voxel_size_m": VOXEL_SIZE_M,
        "license": "Apache-2.0",
        "origin": "drawn",
    }
    return Source(network.eval(), values)
