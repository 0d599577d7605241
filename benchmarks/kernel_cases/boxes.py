"""Peaks, decoding, rotated IoU and suppression beside plain PyTorch, on the sizes of FlatFormer and BEVFusion."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.kernel_cases import Case, Context
from perception import ops

NMS_LIMIT_MS = 2.0


def street_proposals(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Boxes [count, 7] and scores of a detector on a street: clusters around cars, parked and moving, and people."""
    rng = np.random.default_rng(seed)
    parked = [(x, side * 6.0, 4.4, 1.8, 1.5, 0.0) for side in (-1, 1) for x in np.arange(-45, 45, 6.0)]
    moving = [(x, lane, 4.6, 1.9, 1.6, math.pi * (lane > 0)) for lane in (-2.0, 2.0) for x in (-40, -15, 5, 30)]
    people = [(x, side * 9.0, 0.8, 0.7, 1.7, 1.0) for side in (-1, 1) for x in np.arange(-40, 40, 10.0)]
    objects = np.array([(x, y, h / 2 - 1.7, length, w, h, yaw) for x, y, length, w, h, yaw in parked + moving + people])
    which = rng.integers(0, len(objects), count)
    noise = rng.normal(0, (0.35, 0.25, 0.1, 0.15, 0.08, 0.05, 0.06), (count, 7))
    noise[:, 6] += math.pi * (rng.random(count) < 0.1)
    nearness = np.exp(-np.linalg.norm(noise[:, :2], axis=1))
    return (objects[which] + noise).astype(np.float32), (nearness * rng.uniform(0.3, 1, count)).astype(np.float32)


def corners(boxes: Tensor) -> Tensor:
    """Corners [N, 4, 2] seen from above."""
    half = torch.tensor([[1.0, 1], [-1, 1], [-1, -1], [1, -1]]) / 2 * boxes[:, None, 3:5]
    cosine, sine = boxes[:, 6].cos()[:, None], boxes[:, 6].sin()[:, None]
    turned = torch.stack([cosine * half[..., 0] - sine * half[..., 1], sine * half[..., 0] + cosine * half[..., 1]], -1)
    return boxes[:, None, :2] + turned


def inside(points: Tensor, boxes: Tensor) -> Tensor:
    """Which of the points [P, 4, 2] lie in the box of their row."""
    offset = points - boxes[:, None, :2]
    cosine, sine = boxes[:, 6].cos()[:, None], boxes[:, 6].sin()[:, None]
    along, across = cosine * offset[..., 0] + sine * offset[..., 1], cosine * offset[..., 1] - sine * offset[..., 0]
    return (along.abs() <= boxes[:, None, 3] / 2 + 1e-5) & (across.abs() <= boxes[:, None, 4] / 2 + 1e-5)


def pair_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU [P] of P pairs: corners within the other box and crossings of edges, ordered around their middle."""
    a, b = corners(first), corners(second)
    start, step = a[:, :, None], (a.roll(-1, 1) - a)[:, :, None]
    other, other_step = b[:, None], (b.roll(-1, 1) - b)[:, None]
    cross = step[..., 0] * other_step[..., 1] - step[..., 1] * other_step[..., 0]
    gap = other - start
    t = (gap[..., 0] * other_step[..., 1] - gap[..., 1] * other_step[..., 0]) / cross
    u = (gap[..., 0] * step[..., 1] - gap[..., 1] * step[..., 0]) / cross
    crossing = (start + t[..., None] * step).flatten(1, 2)
    crosses = ((t >= 0) & (t <= 1) & (u >= 0) & (u <= 1)).flatten(1)
    points = torch.cat([a, b, crossing], 1)
    valid = torch.cat([inside(a, second), inside(b, first), crosses], 1)
    points = torch.where(valid[..., None], points, 0)
    middle = points.sum(1, keepdim=True) / valid.sum(1).clamp(min=1)[:, None, None]
    offset = torch.where(valid[..., None], points - middle, 0)
    angle = torch.where(valid, torch.atan2(offset[..., 1], offset[..., 0]), math.inf)
    order = angle.argsort(1)
    offset = offset.gather(1, order[..., None].expand_as(offset))
    last = torch.where(valid.gather(1, order)[..., None], offset, offset[:, :1])
    following = last.roll(-1, 1)
    area = (last[..., 0] * following[..., 1] - last[..., 1] * following[..., 0]).sum(1) / 2
    return area / (first[:, 3] * first[:, 4] + second[:, 3] * second[:, 4] - area).clamp(min=1e-9)


def torch_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU [N, M]; only pairs whose circles meet are looked at."""
    reach = first[:, None, 3:5].norm(dim=2) + second[None, :, 3:5].norm(dim=2)
    rows, columns = torch.nonzero(torch.cdist(first[:, :2], second[:, :2]) < reach / 2, as_tuple=True)
    result = torch.zeros(len(first), len(second))
    result[rows, columns] = pair_iou(first[rows], second[columns])
    return result


def torch_nms(conflict: Tensor) -> list[int]:
    """Rows that stay, of boxes in order of score."""
    gone = torch.zeros(len(conflict), dtype=torch.bool)
    kept = []
    for row in range(len(conflict)):
        if not gone[row]:
            kept.append(row)
            gone |= conflict[row]
    return kept


def torch_rotated_nms(boxes: Tensor, scores: Tensor, limit: float) -> Tensor:
    """Rotated NMS: all overlaps at once, then the greedy loop."""
    order = scores.argsort(descending=True)
    return order[torch_nms(torch_iou(boxes[order], boxes[order]) > limit)]


def torch_circle_nms(boxes: Tensor, scores: Tensor, radius_m: float) -> Tensor:
    """Circle NMS: all distances at once, then the greedy loop."""
    order = scores.argsort(descending=True)
    return order[torch_nms(torch.cdist(boxes[order, :2], boxes[order, :2]) <= radius_m)]


def torch_peaks(heatmap: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Local maxima of 3 x 3 cells, and the best of them."""
    scores = torch.sigmoid(heatmap)
    peaks = scores * (scores == F.max_pool2d(scores, 3, stride=1, padding=1))
    return tuple(peaks.flatten(1).topk(count))


def torch_weighed_peaks(heatmap: Tensor, quality: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """FlatFormer's candidates: scores times a squared quality, and the best of them."""
    return tuple((torch.sigmoid(heatmap) * quality.clamp(0, 1) ** 2).flatten(1).topk(count))


def torch_decode(maps: ops.BoxMaps, cells: Tensor, width: int) -> Tensor:
    """Boxes of cells, from maps of FlatFormer's size."""
    center, height, size, rotation, velocity = (
        values.flatten(2).gather(2, cells[:, None].expand(-1, values.shape[1], -1)) for values in maps
    )
    place = (torch.stack([cells % width, cells // width], 1) + center) * 0.32 - 74.88
    yaw = torch.atan2(rotation[:, :1], rotation[:, 1:])
    return torch.cat([place, height, size.exp(), yaw, velocity], 1).transpose(1, 2).contiguous()


def suppression_cases(context: Context) -> list[Case]:
    """Suppression and overlaps of proposals on a street."""
    cases = []
    for count in (1000,) if context.fast else (1000, 4096):
        boxes, scores = street_proposals(count)
        given = (torch.from_numpy(boxes), torch.from_numpy(scores))
        rule, near = ops.ClassSuppression(0.2), ops.ClassSuppression(1.0)
        rotated = ops.rotated_nms(boxes, scores, rule, threads=context.threads)
        assert set(rotated.tolist()) == set(torch_rotated_nms(*given, 0.2).tolist())

        def ours(boxes=boxes, scores=scores, rule=rule) -> object:
            return ops.rotated_nms(boxes, scores, rule, threads=context.threads)

        def ours_by_distance(boxes=boxes, scores=scores, near=near) -> object:
            return ops.circle_nms(boxes, scores, near, threads=context.threads)

        name = f"{count} boxes of a street"
        if count == 1000:
            cases.append(Case(f"rotated NMS, {name}", ours, "limit of 2 ms", required=1.0, peer_ms=NMS_LIMIT_MS))
        note = f"{len(rotated)} kept"
        plain = Case(f"rotated NMS, {name}", ours, "PyTorch", lambda g=given: torch_rotated_nms(*g, 0.2), note=note)
        circle = Case(f"circle NMS, {name}", ours_by_distance, "PyTorch", lambda g=given: torch_circle_nms(*g, 1.0))
        cases += [plain, circle]
    boxes, _ = street_proposals(1000)
    both = torch.from_numpy(boxes)
    overlaps = Case(
        "rotated IoU, 1000 x 1000",
        lambda: ops.box_iou(boxes, boxes, threads=context.threads),
        "PyTorch",
        lambda: torch_iou(both, both),
    )
    return [*cases, overlaps]


def head_cases(context: Context) -> list[Case]:
    """Peaks and decoding at the sizes of BEVFusion (180 x 180, 10 classes) and FlatFormer (468 x 468, 3 classes)."""
    generator = torch.Generator().manual_seed(0)
    small, large = (torch.randn(shape, generator=generator) - 3 for shape in ((1, 10, 180, 180), (1, 3, 468, 468)))
    quality = torch.rand((1, 1, 468, 468), generator=generator)
    maps = ops.BoxMaps(*(torch.randn((1, channels, 468, 468), generator=generator) for channels in (2, 1, 3, 2, 2)))
    cells = torch.randint(0, 468 * 468, (1, 4096), generator=generator)
    coding = ops.BoxCoding((0.32, 0.32), (-74.88, -74.88), grid_width=468)
    rows = cells.int()
    return [
        Case(
            "peaks, 10 x 180 x 180, 200 best",
            lambda: ops.heatmap_peaks(small, 200, threads=context.threads),
            "PyTorch",
            lambda: torch_peaks(small, 200),
        ),
        Case(
            "weighed scores, 3 x 468 x 468, 4096 best",
            lambda: ops.heatmap_peaks(large, 4096, windows=1, quality=quality, threads=context.threads),
            "PyTorch",
            lambda: torch_weighed_peaks(large, quality, 4096),
        ),
        Case(
            "decode 4096 boxes",
            lambda: ops.decode_boxes(maps, coding, rows, context.threads),
            "PyTorch",
            lambda: torch_decode(maps, cells, 468),
        ),
    ]


def cases(context: Context) -> list[Case]:
    """All of this family."""
    return suppression_cases(context) + head_cases(context)
