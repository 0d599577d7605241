"""Boxes, at the sizes of FlatFormer's and TransFusion's heads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.gpu_operations import Operation, Setting
from benchmarks.kernel_cases.boxes import street_proposals
from perception import ops

FLOPS_OF_A_PAIR = 250  # of one rotated IoU, counted in the source


def operations(setting: Setting) -> Iterator[Operation]:
    """Peaks, decoding, overlaps and suppression."""
    yield from head_operations(setting)
    count = 100 if setting.fast else 1000
    boxes, scores = street_proposals(count)
    near, given = setting.device.array(boxes), setting.device.array(scores)
    rule = ops.ClassSuppression(0.2)
    pairs = float(count) ** 2
    yield Operation(
        f"rotated IoU, {count} x {count}", lambda: ops.box_iou(near, near), 4 * pairs, FLOPS_OF_A_PAIR * pairs
    )
    # Its floor is one look at every pair's circles, and the bits of those.
    yield Operation(f"rotated NMS, {count} boxes", lambda: ops.rotated_nms(near, given, rule), pairs / 8, 3 * pairs)


def head_operations(setting: Setting) -> Iterator[Operation]:
    """What follows the dense part of a detector."""
    side = 40 if setting.fast else 468
    best = 100 if setting.fast else 4096
    heatmap, quality = setting.floats(1, 3, side, side), setting.floats(1, 1, side, side)
    cells = 3 * side * side
    yield Operation(f"peaks, 3 x {side} x {side}", lambda: ops.heatmap_peaks(heatmap, 200), 4 * cells)
    yield Operation(
        f"weighed scores, 3 x {side} x {side}",
        lambda: ops.heatmap_peaks(heatmap, best, windows=1, quality=quality),
        4 * cells * 4 / 3,
    )
    maps = ops.BoxMaps(*(setting.floats(1, channels, side, side) for channels in (2, 1, 3, 2, 2)))
    coding = ops.BoxCoding((0.32, 0.32), (-74.88, -74.88), grid_width=side)
    chosen = setting.device.array(setting.random.integers(0, side * side, (1, best)).astype(np.int32))
    yield Operation(f"decode {best} boxes", lambda: ops.decode_boxes(maps, coding, chosen), 80 * best)
