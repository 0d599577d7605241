"""What surrounds a detector: its points before it; after it, from a centre head's maps to boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception import ops
from perception.bundle.detection import HEAD_MAPS, CenterDecoding, MapDetectorSettings
from perception.ops.arrays import Array
from perception.types import Boxes3D

#: Regression maps of the head in the order of `ops.BoxMaps`.
MAP_NAMES = tuple(name for name in HEAD_MAPS if name != "iou")


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


def no_candidates() -> Candidates:
    """None at all."""
    return Candidates(np.empty((0, 9), np.float32), np.empty(0, np.float32), np.empty(0, np.int32))


def points_in_range(points: NDArray[np.float32], range_m: Sequence[float]) -> NDArray[np.float32]:
    """Take the points within lowest x, y, z and highest x, y, z, as the official data pipeline does.

    Without this, what is outside would fall into the nearest pillar at the border.
    """
    low, high = np.array(range_m[:3], np.float32), np.array(range_m[3:], np.float32)
    inside = np.ones(len(points), bool)
    for axis in range(3):  # column by column, and by row numbers: a ninth of the time that whole rows and a mask take
        inside &= points[:, axis] >= low[axis]
        inside &= points[:, axis] < high[axis]
    chosen: NDArray[np.float32] = np.take(points, np.flatnonzero(inside), axis=0)
    return chosen


def split_maps(maps: Array, classes: int) -> dict[str, Array]:
    """Name the parts of the maps that a bundle's graph gives: [1, channels of `HEAD_MAPS` and classes, H, W]."""
    _, channels, *size = maps.shape
    rows, first, parts = maps.reshape(channels, *size), 0, {}
    for name, width in {**HEAD_MAPS, "heatmap": classes}.items():
        parts[name] = rows[first : first + width].reshape(1, width, *size)
        first += width
    return parts


def _to_host(array: Array) -> NDArray[Any]:
    result: NDArray[Any] = np.asarray(array.cpu() if hasattr(array, "cpu") else array)
    return result


def find_candidates(
    maps: Mapping[str, Any],
    settings: MapDetectorSettings,
    decoding: CenterDecoding,
    download: Callable[[Array], NDArray[Any]] = _to_host,
    threads: int | None = None,
) -> list[Candidates]:
    """Read the best boxes off raw maps, for each cloud of the batch; boxes that are not finite are left out.

    Args:
        maps: of `perception.nn.bev.CenterHead`, float [B, channels, H, W] each.
        settings: where the map lies.
        decoding: how many, from what score on.
        download: brings arrays from where the maps are to the CPU.
        threads: CPU threads, all by default.
    """
    heatmap, quality = maps["heatmap"], maps["iou"] if decoding.iou_power else None
    count = min(decoding.candidates, int(np.prod(heatmap.shape[1:])))
    trusted: dict[str, Any] = {"quality": quality, "quality_power": max(1, decoding.iou_power)}
    peaks = ops.heatmap_peaks(heatmap, count, windows=decoding.peak_window, threads=threads, **trusted)
    own = ops.BoxMaps(*(maps[name] for name in MAP_NAMES))
    where = (box_coding(settings), peaks.scores, decoding.center_range_m, peaks.cells)
    boxes, scores = ops.decode_boxes_within(own, *where, threads=threads)
    host = Candidates(*(download(part) for part in (boxes, scores, peaks.labels)))
    chosen = (host.scores > decoding.min_score) & np.isfinite(host.boxes).all(-1)
    return [
        Candidates(host.boxes[cloud][kept], host.scores[cloud][kept], host.labels[cloud][kept])
        for cloud, kept in enumerate(chosen)
    ]


def suppress(candidates: Candidates, decoding: CenterDecoding, threads: int | None = None) -> Candidates:
    """Keep the best of the boxes of each class that overlap."""
    rules = [
        ops.ClassSuppression(rule.iou, decoding.min_score, rule.candidates, rule.kept) for rule in decoding.suppression
    ]
    kept = ops.rotated_nms(candidates.boxes, candidates.scores, rules, candidates.labels, threads)
    return Candidates(candidates.boxes[kept], candidates.scores[kept], candidates.labels[kept])


def box_coding(settings: MapDetectorSettings) -> ops.BoxCoding:
    """How the official head writes boxes: centres relative to the cell's corner, yaw clockwise from above."""
    _, width = settings.grid_size
    origin = settings.range_m[:2]
    return ops.BoxCoding(settings.cell_m, (origin[0], origin[1]), grid_width=width, yaw_sign=-1.0)


def boxes_of(candidates: Candidates, classes: Sequence[str]) -> Boxes3D:
    """Boxes with the names of their classes."""
    boxes = candidates.boxes
    names = tuple(classes[label] for label in candidates.labels.tolist())
    return Boxes3D(boxes[:, :3], boxes[:, 3:6], boxes[:, 6], names, candidates.scores, boxes[:, 7:9])
