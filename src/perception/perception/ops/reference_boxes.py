"""What the operations on boxes mean, in plain PyTorch and Python: the judge of the native kernels.

Boxes are [N, 7 or more]: x, y, z of the centre, length, width, height, yaw (counter-clockwise seen from above).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

Corner = tuple[float, float]


class Peaks(NamedTuple):
    """Scores [B, K], labels [B, K] and cells [B, K] (y * width + x), best first."""

    scores: Tensor
    labels: Tensor
    cells: Tensor


def corners(box: Sequence[float]) -> list[Corner]:
    """The corners of a box seen from above, counter-clockwise."""
    x, y, _, length, width, _, yaw = box[:7]
    cosine, sine = math.cos(yaw), math.sin(yaw)
    half = [(length / 2, width / 2), (-length / 2, width / 2), (-length / 2, -width / 2), (length / 2, -width / 2)]
    return [(x + cosine * u - sine * v, y + sine * u + cosine * v) for u, v in half]


def clip(polygon: list[Corner], start: Corner, end: Corner) -> list[Corner]:
    """Cut off what lies right of a line (Sutherland and Hodgman, 1974)."""

    def left_of(corner: Corner) -> float:
        return (end[0] - start[0]) * (corner[1] - start[1]) - (end[1] - start[1]) * (corner[0] - start[0])

    result = []
    for before, here in zip(polygon[-1:] + polygon[:-1], polygon, strict=True):
        side_before, side = left_of(before), left_of(here)
        if (side_before < 0) != (side < 0):
            t = side_before / (side_before - side)
            result.append((before[0] + t * (here[0] - before[0]), before[1] + t * (here[1] - before[1])))
        if side >= 0:
            result.append(here)
    return result


def polygon_area(polygon: list[Corner]) -> float:
    """The area inside a polygon, from its corners counter-clockwise (shoelace formula)."""
    ends = polygon[1:] + polygon[:1]
    return sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(polygon, ends, strict=True)) / 2


def pair_iou(first: Sequence[float], second: Sequence[float], three_d: bool = False) -> float:
    """Intersection over union of two boxes, in Python's double precision."""
    if not all(map(math.isfinite, (*first[:7], *second[:7]))):
        return 0.0
    if math.dist(first[:2], second[:2]) > (math.hypot(*first[3:5]) + math.hypot(*second[3:5])) / 2:
        return 0.0  # the circles around them do not meet
    first = [value - origin for value, origin in zip(first[:3], second[:3], strict=True)] + [*first[3:7]]
    second = [0.0, 0.0, 0.0, *second[3:7]]
    sizes = [[max(size, 0.0) for size in box[3:6]] for box in (first, second)]
    first, second = [*first[:3], *sizes[0], first[6]], [*second[:3], *sizes[1], second[6]]
    polygon, edges = corners(first), corners(second)
    for start, end in zip(edges, edges[1:] + edges[:1], strict=True):
        polygon = clip(polygon, start, end)
    common = polygon_area(polygon)
    measures = [size[0] * size[1] for size in sizes]
    if three_d:
        top = min(box[2] + box[5] / 2 for box in (first, second))
        common *= max(top - max(box[2] - box[5] / 2 for box in (first, second)), 0.0)
        measures = [size[0] * size[1] * size[2] for size in sizes]
    return common / (sum(measures) - common) if min(measures) > 0 else 0.0


def box_iou(first: Tensor, second: Tensor, three_d: bool = False) -> Tensor:
    """Intersection over union of all pairs, float64 [N, M]."""
    rows, columns = first.double().tolist(), second.double().tolist()
    values = [[pair_iou(row, column, three_d) for column in columns] for row in rows]
    return torch.tensor(values, dtype=torch.float64).reshape(len(first), len(second))


def greedy_nms(suppressed_by: Tensor, scores: Tensor, score_above: float, candidates: int, most_kept: int) -> list[int]:
    """Rows of the boxes that stay, best first; suppressed_by[i, j]: box i removes box j if i is kept and better."""
    order = sorted((i for i in range(len(scores)) if scores[i] > score_above), key=lambda i: (-float(scores[i]), i))
    kept: list[int] = []
    for row in order[:candidates]:
        if len(kept) < most_kept and not any(suppressed_by[better, row] for better in kept):
            kept.append(row)
    return kept


def center_distance(boxes: Tensor) -> Tensor:
    """Distance of all pairs of centres seen from above, [N, N]."""
    difference = boxes[:, None, :2] - boxes[None, :, :2]
    return difference.square().sum(-1).sqrt()


def is_peak(heatmap: Tensor, windows: Sequence[int], inner_only: bool = False) -> Tensor:
    """Which cells of [B, classes, H, W] equal the largest value around them."""
    peak = heatmap == F.max_pool2d(heatmap, 3, stride=1, padding=1)
    if inner_only:
        inner = torch.zeros_like(peak)
        inner[..., 1:-1, 1:-1] = True
        peak = peak & inner
    for label, window in enumerate(windows):
        if window == 1:
            peak[:, label] = True
    return peak


def heatmap_peaks(
    heatmap: Tensor,
    count: int,
    windows: Sequence[int],
    inner_only: bool = False,
    sigmoid: bool = True,
    quality: Tensor | None = None,
    quality_power: int = 2,
) -> Peaks:
    """Find the best peaks; cells that are none follow with score 0, in order."""
    peak = is_peak(heatmap, windows, inner_only)
    scores = torch.sigmoid(heatmap) if sigmoid else heatmap
    rank = heatmap
    if quality is not None:
        batches, _, height, width = heatmap.shape
        scores = scores * quality.reshape(batches, 1, height, width).clamp(0, 1) ** quality_power
        rank = scores
    rank = torch.where(peak, rank, -torch.inf).flatten(1)
    cell = torch.sort(rank, dim=1, descending=True, stable=True).indices[:, :count]
    chosen = torch.where(peak, scores, 0.0).flatten(1).gather(1, cell)
    cells = heatmap.shape[2] * heatmap.shape[3]
    return Peaks(chosen, (cell // cells).int(), (cell % cells).int())


def decode_boxes(
    maps: Sequence[Tensor],
    cell_size_m: Sequence[float],
    origin_m: Sequence[float],
    cells: Tensor,
    grid_width: int = 0,
    raise_by_heights: float = 0.0,
    width_first: bool = False,
    yaw_sign: float = 1.0,
    yaw_offset_rad: float = 0.0,
) -> Tensor:
    """Read boxes [B, K, 9] off maps (center, height, size, rotation, velocity), each [B, channels, ...]."""
    center, height, size, rotation, velocity = (
        values.flatten(2).gather(2, cells[:, None].expand(-1, values.shape[1], -1).long()) for values in maps
    )
    if grid_width:
        center = center + torch.stack([cells % grid_width, cells // grid_width], 1)
    x = center[:, 0] * cell_size_m[0] + origin_m[0]
    y = center[:, 1] * cell_size_m[1] + origin_m[1]
    sizes = size.exp()[:, [1, 0, 2] if width_first else [0, 1, 2]]
    z = height[:, 0] + raise_by_heights * sizes[:, 2]
    yaw = yaw_sign * torch.atan2(rotation[:, 0], rotation[:, 1]) + yaw_offset_rad
    yaw = yaw - 2 * math.pi * torch.floor(yaw / (2 * math.pi) + 0.5)
    return torch.stack([x, y, z, *sizes.unbind(1), yaw, *velocity.unbind(1)], 2)
