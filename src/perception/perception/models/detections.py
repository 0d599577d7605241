"""From a centre head's maps to boxes: peaks, decoding, suppression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception import ops
from perception.bundle.detection import CenterDecoding, FlatFormerSettings
from perception.ops.arrays import Array

#: Regression maps of the head in the order of `ops.BoxMaps`.
MAP_NAMES = ("reg", "height", "dim", "rot", "vel")


class Candidates(NamedTuple):
    """Boxes before or after suppression, best first or class by class.

    Attributes:
        boxes: float32 [N, 9], x, y, z of the centre (m), length, width, height (m), yaw (rad, counter-clockwise seen
            from above), vx, vy (m/s).
        scores: float32 [N], 0..1.
        labels: int32 [N], class numbers.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int32]


def find_candidates(
    maps: Mapping[str, Any], settings: FlatFormerSettings, decoding: CenterDecoding
) -> list[Candidates]:
    """Read the best boxes off raw maps, for each cloud of the batch.

    Args:
        maps: of `perception.nn.bev.CenterHead`, float [B, channels, H, W] each.
        settings: where the map lies.
        decoding: how many, from what score on.
    """
    cells = int(np.prod(maps["heatmap"].shape[1:]))
    peaks = ops.heatmap_peaks(
        maps["heatmap"], min(decoding.candidates, cells), windows=decoding.peak_window, quality=maps["iou"]
    )
    coding = box_coding(settings)
    own = ops.BoxMaps(*(maps[name] for name in MAP_NAMES))
    boxes, scores = ops.decode_boxes_within(own, coding, peaks.scores, decoding.center_range_m, peaks.cells)
    host = Candidates(*(_to_host(part) for part in (boxes, scores, peaks.labels)))
    chosen = host.scores > decoding.min_score
    return [
        Candidates(host.boxes[cloud][kept], host.scores[cloud][kept], host.labels[cloud][kept])
        for cloud, kept in enumerate(chosen)
    ]


def suppress(candidates: Candidates, decoding: CenterDecoding) -> Candidates:
    """Keep the best of the boxes of each class that overlap."""
    rules = [
        ops.ClassSuppression(rule.iou, decoding.min_score, rule.candidates, rule.kept) for rule in decoding.suppression
    ]
    kept = ops.rotated_nms(candidates.boxes, candidates.scores, rules, candidates.labels)
    return Candidates(candidates.boxes[kept], candidates.scores[kept], candidates.labels[kept])


def box_coding(settings: FlatFormerSettings) -> ops.BoxCoding:
    """How the official head writes boxes: centres relative to the cell's corner, yaw clockwise from above."""
    _, width = settings.grid_size
    origin = settings.range_m[:2]
    size = (settings.pillar_m, settings.pillar_m)
    return ops.BoxCoding(size, (origin[0], origin[1]), grid_width=width, yaw_sign=-1.0)


def to_official(candidates: Candidates, z_at_bottom: bool) -> Sequence[NDArray[Any]]:
    """Boxes as the official code writes them: yaw clockwise, and z at the bottom of final boxes."""
    boxes = candidates.boxes.copy()
    boxes[:, 6] = -boxes[:, 6]
    if z_at_bottom:
        boxes[:, 2] -= boxes[:, 5] / 2
    return boxes, candidates.scores, candidates.labels


def _to_host(array: Array) -> NDArray[Any]:
    result: NDArray[Any] = np.asarray(array.cpu() if hasattr(array, "cpu") else array)
    return result
