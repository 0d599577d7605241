"""Small made-up frames for the tests of layers and networks."""

from __future__ import annotations

import torch
from torch import Tensor


def frame(voxels: int = 60, extent: int = 6, clouds: int = 2, seed: int = 0) -> Tensor:
    """Draw voxels of several clouds with negative coordinates: int32 [about `voxels`, 4], each once, shuffled."""
    generator = torch.Generator().manual_seed(seed)
    xyz = torch.randint(-extent // 2, extent - extent // 2, (voxels, 3), generator=generator)
    batch = torch.randint(clouds, (voxels, 1), generator=generator)
    distinct = torch.unique(torch.cat([batch, xyz], 1), dim=0)
    return distinct[torch.randperm(len(distinct), generator=generator)].int()
