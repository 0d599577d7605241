"""What a centre head is taught: a heat map for each class, and a box at the cell of every object's centre.

Source: Zhou et al., "Objects as Points", 2019, and Yin et al., "Center-based 3D Object Detection and Tracking", CVPR
2021; radii as in Law and Deng, "CornerNet", ECCV 2018, section 3.2, in the form that CenterPoint and the official
FlatFormer share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception import ops
from perception.types import Boxes3D

#: The radius of a Gaussian is so many of its standard deviations, less half a cell.
SIGMAS = 3
Floats = NDArray[np.float32]


class TruthBoxes(NamedTuple):
    """The objects of a cloud that a detector is taught.

    Attributes:
        boxes: float32 [M, 9], x, y, z of the centre (m), length, width, height (m), yaw (rad), vx, vy (m/s, NaN where
            unknown).
        labels: int64 [M], class numbers.
    """

    boxes: Floats
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class HeatSettings:
    """How far around a centre the heat map says that it is near.

    Attributes:
        overlap: a box shifted by the radius still overlaps its original by this much (IoU).
        min_radius: of any Gaussian, in cells.
    """

    overlap: float = 0.1
    min_radius: int = 2


class CenterTargets(NamedTuple):
    """What the maps of a batch of clouds should hold.

    Attributes:
        heatmap: float32 [B, classes, H, W], 1 at centres, falling off around them.
        cells: int64 [M], (cloud * H + y) * W + x of each object's centre.
        codes: float32 [M, 10], in the order of the head's maps `runtime.detections.MAP_NAMES`: offset x and y (cells),
            z (m), logarithms of length, width and height, sine and cosine, vx and vy (m/s, NaN where unknown).
        boxes: float32 [M, 7], the same boxes as they are in the world, for overlaps.
    """

    heatmap: Floats
    cells: NDArray[np.int64]
    codes: Floats
    boxes: Floats


def truth_boxes(boxes: Boxes3D, classes: Sequence[str]) -> TruthBoxes:
    """Take the boxes of some classes; the others are left out."""
    kept = [row for row, name in enumerate(boxes.class_names) if name in classes]
    columns = (boxes.centers, boxes.sizes, boxes.yaws[:, None], boxes.velocities)
    labels = np.array([classes.index(boxes.class_names[row]) for row in kept], np.int64)
    return TruthBoxes(np.concatenate(columns, axis=1)[kept].astype(np.float32), labels)


def center_targets(
    truth: Sequence[TruthBoxes], coding: ops.BoxCoding, size: tuple[int, int], classes: int, heat: HeatSettings
) -> CenterTargets:
    """Compute what a head should say of some clouds; objects whose centre lies outside the map are left out.

    Args:
        truth: the objects of each cloud.
        coding: how the head writes boxes.
        size: H, W of the map in cells.
        classes: how many there are.
        heat: how wide Gaussians are.
    """
    height, width = size
    heatmap = np.zeros((len(truth), classes, height, width), np.float32)
    parts: list[tuple[NDArray[np.int64], Floats, Floats]] = []
    for number, (boxes, labels) in enumerate(truth):
        place = _in_cells(boxes, coding)
        inside = ((place >= 0) & (place < (width, height))).all(axis=1)
        boxes, labels, place = boxes[inside], labels[inside], place[inside]
        cell = np.floor(place).astype(np.int64)
        radii = gaussian_radii(boxes[:, 3:5] / np.array(coding.cell_size_m), heat)
        for label, (x, y), radius in zip(labels.tolist(), cell.tolist(), radii.tolist(), strict=True):
            draw_gaussian(heatmap[number, label], x, y, radius)
        codes = encode_boxes(boxes, (place - cell).astype(np.float32), coding)
        parts.append(((number * height + cell[:, 1]) * width + cell[:, 0], codes, boxes[:, :7]))
    cells, codes, boxes = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return CenterTargets(heatmap, cells, codes, boxes)


def encode_boxes(boxes: Floats, offsets: Floats, coding: ops.BoxCoding) -> Floats:
    """Write boxes as a head does: float32 [M, 10] of `CenterTargets.codes` from boxes [M, 9] and offsets [M, 2]."""
    z = boxes[:, 2:3] - coding.raise_by_heights * boxes[:, 5:6]
    sizes = np.log(boxes[:, [4, 3, 5] if coding.width_first else [3, 4, 5]])
    yaw = coding.yaw_sign * (boxes[:, 6:7] - coding.yaw_offset_rad)
    columns = (offsets, z, sizes, np.sin(yaw), np.cos(yaw), boxes[:, 7:9])
    return np.concatenate(columns, axis=1).astype(np.float32)


def gaussian_radii(sizes: NDArray[np.floating], heat: HeatSettings) -> NDArray[np.int64]:
    """Give the radius in cells for footprints [M, 2] in cells: int64 [M].

    The smallest of three bounds: corners moved the same way, both outwards, both inwards. Their larger roots are taken
    over 2 instead of over twice the leading coefficient, as CornerNet's code and all its successors do.
    """
    length, width = np.asarray(sizes, np.float64).T
    around, area, overlap = length + width, length * width, heat.overlap
    quadratics = (
        (1.0, around, area * (1 - overlap) / (1 + overlap)),
        (4.0, 2 * around, (1 - overlap) * area),
        (4 * overlap, -2 * overlap * around, (overlap - 1) * area),
    )
    bounds = [(b + np.sqrt(np.maximum(b * b - 4 * a * c, 0))) / 2 for a, b, c in quadratics]
    return np.maximum(np.min(bounds, axis=0).astype(np.int64), heat.min_radius)


def draw_gaussian(heatmap: Floats, x: int, y: int, radius: int) -> None:
    """Raise a map [H, W] to a Gaussian of 1 at a cell, which ends `radius` cells from it."""
    height, width = heatmap.shape
    sigma = (2 * radius + 1) / (2 * SIGMAS)
    rows = np.arange(max(0, y - radius), min(height, y + radius + 1))
    columns = np.arange(max(0, x - radius), min(width, x + radius + 1))
    squared = (rows[:, None] - y) ** 2 + (columns - x) ** 2
    patch = heatmap[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    np.maximum(patch, np.exp(-squared / (2 * sigma**2)).astype(np.float32), out=patch)


def _in_cells(boxes: Floats, coding: ops.BoxCoding) -> NDArray[np.float64]:
    return (boxes[:, :2].astype(np.float64) - coding.origin_m) / coding.cell_size_m
