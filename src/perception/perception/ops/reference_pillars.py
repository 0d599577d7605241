"""What the operations on pillars and windows mean, in plain PyTorch: slow, short, and the judge of the native kernels.

Cells are int32 [N, 3]: batch, y, x.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from perception.ops.pillars import PillarGrid
    from perception.ops.windows import WindowWalk


class Pillars(NamedTuple):
    """Which points lie in which pillar; the fields of `perception.ops.Pillars`."""

    coords: Tensor
    counts: tuple[int, ...]
    order: Tensor
    begins: Tensor
    pillar: Tensor


def find_pillars(points: Tensor, grid: PillarGrid, batch: Tensor, batches: int) -> Pillars:
    """Find the pillars of a cloud float32 [N, 3+] and sort its points by pillar."""
    cell = torch.floor((points[:, :3] - torch.tensor(grid.minimum_m)) / torch.tensor(grid.size_m))
    good = torch.isfinite(points[:, :3]).all(1) & (batch >= 0) & (batch < batches)
    last = torch.tensor([grid.width - 1, grid.height - 1, 0], dtype=torch.float32)
    if not grid.clamp:
        good &= ((cell >= 0) & (cell <= last)).all(1)
    cell = cell.nan_to_num().clamp(torch.zeros(3), last).long()
    rows = torch.nonzero(good).flatten()
    cells = torch.stack([batch.long(), cell[:, 1], cell[:, 0]], 1)[rows]
    if grid.drop_first and len(rows):
        kept = torch.ones(len(rows), dtype=torch.bool)
        for element in range(batches):
            own = [tuple(row) for row in cells.tolist() if row[0] == element]
            if own:
                kept &= (cells != torch.tensor(min(own))).any(1)
        rows, cells = rows[kept], cells[kept]
    coords, inverse, sizes = torch.unique(cells, dim=0, return_inverse=True, return_counts=True)
    by_pillar = torch.sort(inverse, stable=True)
    begins = torch.cat([torch.zeros(1, dtype=torch.long), sizes.cumsum(0)])
    counts = tuple(int((coords[:, 0] == element).sum()) for element in range(batches))
    return Pillars(coords.int(), counts, rows[by_pillar.indices].int(), begins.int(), by_pillar.values.int())


def pillar_features(points: Tensor, grid: PillarGrid, pillars: Pillars) -> Tensor:
    """Describe each point of `pillars.order`: itself, xyz less its pillar's mean, xyz less its pillar's centre."""
    sorted_points, pillar = points[pillars.order.long()], pillars.pillar.long()
    xyz = sorted_points[:, :3]
    sums = torch.zeros(len(pillars.coords), 3, dtype=points.dtype).index_add(0, pillar, xyz)
    sizes = pillars.begins.diff().unsqueeze(1)
    index = torch.cat([pillars.coords[:, [2, 1]], torch.zeros(len(pillars.coords), 1)], 1).to(points.dtype)
    size, minimum = (torch.tensor(value, dtype=points.dtype) for value in (grid.size_m, grid.minimum_m))
    centres = index * size + size / 2 + minimum
    return torch.cat([sorted_points, xyz - (sums / sizes)[pillar], xyz - centres[pillar]], 1)


def segment_reduce(features: Tensor, begins: Tensor, kind: str) -> Tensor:
    """Take the maximum or mean of rows begins[s]:begins[s + 1] for every s; 0 where there are none."""
    reduced = torch.zeros(len(begins) - 1, features.shape[1], dtype=features.dtype)
    for segment, (begin, end) in enumerate(zip(begins[:-1].tolist(), begins[1:].tolist(), strict=True)):
        if end > begin:
            rows = features[begin:end]
            reduced[segment] = rows.amax(0) if kind == "max" else rows.mean(0)
    return reduced


def pillars_to_map(features: Tensor, coords: Tensor, batches: int, size: Sequence[int]) -> Tensor:
    """Lay features [N, C] out as a map [B, C, H, W], zero elsewhere; the last row of a cell stays."""
    output = torch.zeros(batches, features.shape[1], *size, dtype=features.dtype)
    for row, (batch, y, x) in enumerate(coords.tolist()):
        output[batch, :, y, x] = features[row]
    return output


def window_order(coords: Tensor, walk: WindowWalk) -> Tensor:
    """Sort cells along a walk through windows: int32 [N], position -> row."""
    window_y, window_x = walk.window

    def place(row: int) -> tuple[int, ...]:
        batch, y, x = coords[row].tolist()
        if walk.shifted:
            y, x = y + window_y // 2, x + window_x // 2
        across, along = ((y, window_y), (x, window_x)) if walk.axis == "x" else ((x, window_x), (y, window_y))
        band, a = divmod(across[0], across[1])
        window, b = divmod(along[0], along[1])
        forth = 1 if band % 2 == 0 else -1
        return batch, band, forth * window, forth * b, forth * (a if b % 2 == 0 else -a)

    return torch.tensor(sorted(range(len(coords)), key=place), dtype=torch.int32)


def group_tokens(counts: Sequence[int], group_size: int) -> tuple[Tensor, Tensor]:
    """Cut each batch element's tokens into groups of equal size: flat2win [slots] and win2flat [tokens]."""
    flat2win: list[int] = []
    win2flat: list[int] = []
    begin = 0
    for count in counts:
        slots = list(range(begin, begin + count))
        win2flat += range(len(flat2win), len(flat2win) + count)
        while len(slots) % group_size:
            before = len(slots) - group_size
            slots.append(slots[before] if before >= 0 else slots[len(slots) - count])
        flat2win += slots
        begin += count
    return torch.tensor(flat2win, dtype=torch.int32), torch.tensor(win2flat, dtype=torch.int32)


def add_position(features: Tensor, coords: Tensor, table: Tensor) -> Tensor:
    """Add table[x] to the first half of the channels and table[y] to the second half."""
    x, y = coords[:, 2].long(), coords[:, 1].long()
    return features + torch.cat([table[x], table[y]], 1)


def sequence_convolution(gated: Tensor, order: Tensor, counts: Sequence[int], kernel: Tensor) -> Tensor:
    """Gate rows [N, 2 C] and convolve each channel along the sequence of its batch element; [N, C]."""
    rows, (size, channels) = order.long(), kernel.shape
    convolved = [gated.new_zeros(0, channels)]
    for part in functional.glu(gated[rows], 1).split(list(counts)):
        if len(part):
            padded = functional.pad(part.T[None], (size // 2, size // 2))
            convolved.append(functional.conv1d(padded, kernel.T[:, None], groups=channels)[0].T)
    return gated.new_zeros(len(rows), channels).index_copy(0, rows, torch.cat(convolved))
