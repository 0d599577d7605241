"""Losses of a centre head, as the official FlatFormer weighs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from perception import ops
from perception.runtime.detections import MAP_NAMES

#: Of the focal loss (Law and Deng, "CornerNet", ECCV 2018, equation 1).
ALPHA, BETA = 2, 4


class CenterTruth(NamedTuple):
    """`perception.training.detection.targets.CenterTargets` as tensors."""

    heatmap: Tensor
    cells: Tensor
    codes: Tensor
    boxes: Tensor


class CenterLosses(NamedTuple):
    """The parts of the loss, each a scalar, before they are weighed.

    Attributes:
        heatmap: focal loss of the heat maps.
        box: L1 of offsets, heights, sizes, rotations and velocities.
        iou: L1 of the predicted overlap.
    """

    heatmap: Tensor
    box: Tensor
    iou: Tensor


def center_losses(
    maps: Mapping[str, Tensor], truth: CenterTruth, coding: ops.BoxCoding, velocity_weight: float
) -> CenterLosses:
    """Compute the losses of a batch.

    Args:
        maps: of `perception.nn.bev.CenterHead`, float32 [B, channels, H, W].
        truth: what they should say; with no objects, boxes and overlaps cost nothing.
        coding: how the head writes boxes.
        velocity_weight: of vx and vy beside the other parts of a box.
    """
    codes = at_cells(torch.cat([maps[name] for name in MAP_NAMES], 1), truth.cells)
    weights = torch.ones(codes.shape[1], device=codes.device)
    weights[-2:] = velocity_weight
    own = decoded(codes.detach(), truth.cells, maps["heatmap"].shape, coding)
    overlap = torch.as_tensor(ops.box_iou_aligned(own, truth.boxes, three_d=True))
    quality = at_cells(maps["iou"], truth.cells)[:, 0]
    return CenterLosses(
        focal_loss(maps["heatmap"], truth.heatmap),
        box_loss(codes, truth.codes, weights),
        (quality - overlap).abs().sum() / max(1, len(quality)),
    )


def decoded(codes: Tensor, cells: Tensor, shape: Sequence[int], coding: ops.BoxCoding) -> Tensor:
    """Turn codes [M, 10] at cells [M] of maps of a shape B, C, H, W into boxes, float32 [M, 7]."""
    height, width = shape[-2:]
    corner = torch.stack([cells % width, cells // width % height], 1)
    absolute = torch.cat([codes[:, :2] + corner, codes[:, 2:]], 1).float()
    maps = (part.T[None].contiguous() for part in absolute.split([2, 1, 3, 2, 2], 1))
    boxes = torch.as_tensor(ops.decode_boxes(ops.BoxMaps(*maps), replace(coding, grid_width=0)))
    return boxes[0, :, :7].contiguous()


def focal_loss(logits: Tensor, heatmap: Tensor) -> Tensor:
    """Gaussian focal loss over all cells and classes, divided by the number of objects (at least 1).

    Args:
        logits: float [B, classes, H, W].
        heatmap: float [B, classes, H, W]; cells of exactly 1 are centres, the others count the less the nearer to 1.
    """
    log_hit, log_miss = F.logsigmoid(logits), F.logsigmoid(-logits)
    centers = heatmap == 1
    hits = log_hit * log_miss.exp() ** ALPHA * centers
    misses = log_miss * log_hit.exp() ** ALPHA * (1 - heatmap) ** BETA  # 0 at centres by itself
    return -(hits + misses).sum() / centers.sum().clamp(min=1)


def box_loss(codes: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """L1 of codes [M, K], weighted column by column [K], summed and divided by M; what is NaN in the truth is free."""
    known = ~truth.isnan()
    difference = (codes - torch.where(known, truth, codes.detach())).abs()
    return (difference * weights).sum() / max(1, len(codes))


def at_cells(maps: Tensor, cells: Tensor) -> Tensor:
    """Read maps [B, C, H, W] at cells, int64 [M] of (cloud * H + y) * W + x: [M, C]."""
    batches, channels = maps.shape[:2]
    flat = maps.reshape(batches, channels, -1)
    area = flat.shape[2]
    return flat[cells // area, :, cells % area]
