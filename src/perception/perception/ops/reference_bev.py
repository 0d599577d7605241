"""What the operations on bird's-eye views mean, in plain PyTorch: slow, short and differentiable."""

from __future__ import annotations

import torch
from torch import Tensor

from perception.ops.bev_pool import BevGrid


def bev_cells(points: Tensor, grid: BevGrid, samples: int = 1) -> Tensor:
    """Give the cell of each point [..., 3], -1 outside: ((sample * nz + z) * nx + x) * ny + y, int64 [points]."""
    rows = points.reshape(-1, 3)
    x, y, z = ((rows - torch.tensor(grid.lower_m)) / torch.tensor(grid.cell_size_m)).long().unbind(1)
    sample = torch.arange(len(rows)) // max(len(rows) // samples, 1)
    nx, ny, nz = grid.shape
    inside = (x >= 0) & (x < nx) & (y >= 0) & (y < ny) & (z >= 0) & (z < nz)
    return torch.where(inside, ((sample * nz + z) * nx + x) * ny + y, -1)


def bev_pool(features: Tensor, cells: Tensor, grid: BevGrid, samples: int = 1) -> Tensor:
    """Add up the features [..., C] of each cell's points: [samples, nz * C, nx, ny]."""
    rows = features.reshape(-1, features.shape[-1])
    nx, ny, nz = grid.shape
    kept = torch.nonzero(cells >= 0).reshape(-1)
    sums = rows.new_zeros(samples * nz * nx * ny, rows.shape[1]).index_add(0, cells[kept], rows[kept])
    return sums.reshape(samples, nz, nx, ny, -1).permute(0, 1, 4, 2, 3).reshape(samples, -1, nx, ny)


def lift_pool(depth: Tensor, context: Tensor, cells: Tensor, grid: BevGrid, samples: int = 1) -> Tensor:
    """Pool the product of depth [cameras, D, h, w] and context [cameras, C, h, w]: [samples, nz * C, nx, ny]."""
    volume = depth.unsqueeze(4) * context.permute(0, 2, 3, 1).unsqueeze(1)
    return bev_pool(volume, cells, grid, samples)


def depth_images(
    points: Tensor, image_from_lidar: Tensor, augmentation: Tensor | None, image_size: tuple[int, int]
) -> Tensor:
    """Draw the depths of points [N, 3+] into the cameras' images, the last point of a pixel wins: [cameras, h, w]."""
    height, width = image_size
    images = torch.zeros(len(image_from_lidar), height, width, dtype=torch.float64)
    for camera, matrix in enumerate(image_from_lidar.double()):
        x, y, depth = matrix[:3, :3] @ points[:, :3].double().T + matrix[:3, 3:]
        depth = depth.clamp(1e-5, 1e5)
        pixels = torch.stack([x / depth, y / depth, depth])
        if augmentation is not None:
            moved = augmentation[camera].double()
            pixels = moved[:3, :3] @ pixels + moved[:3, 3:]
        u, v = pixels[:2]
        for i in torch.nonzero((v >= 0) & (v < height) & (u >= 0) & (u < width)).reshape(-1).tolist():
            images[camera, int(v[i]), int(u[i])] = depth[i]
    return images
