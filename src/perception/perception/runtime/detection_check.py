"""What the self-check of a detector holds, and when boxes count as the same.

The file `self_check.safetensors` of a detector has the tensors

- `points`: float32 [N, `network.point_channels`], a small cloud;
- `boxes`: float32 [M, 9], what the network must find there with the decoding of its bundle.yaml: x, y, z of the centre,
  length, width, height (m), yaw (rad, counter-clockwise), vx, vy (m/s);
- `scores`: float32 [M], 0..1;
- `class_ids`: uint8 [M], index into the bundle's classes.

Boxes just above the smallest score come and go with rounding, and are no evidence: at least one must be clear of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from perception.bundle.format import DetectionDescription
from perception.types import Boxes3D

#: More boxes are no small cloud's.
MOST_BOXES = 2000
#: How far scores, centres (m), sizes (ratio), yaws (rad) and velocities (m/s) may be from what they must be. Half
#: precision stays a tenth below; a kernel that computes something else does not.
SCORE, CENTER_M, SIZE, YAW_RAD, VELOCITY = 0.05, 0.2, 0.1, 0.15, 0.5


class _Found(NamedTuple):
    """Boxes as the file has them."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.uint8]


def detection_check(
    points: NDArray[np.float32], found: Boxes3D, description: DetectionDescription
) -> dict[str, NDArray[Any]] | None:
    """Give the tensors of a detector's self-check.

    Args:
        points: float32 [N, C], a small cloud.
        found: what the network finds there, by an execution that is trusted.
        description: of the bundle.

    Returns:
        Tensors by name; None where nothing found is clear, or more than MOST_BOXES were: they would tell nothing.
    """
    own = _of(found, description)
    if not has_clear_boxes(own._asdict(), description) or len(found) > MOST_BOXES:
        return None
    return {"points": np.ascontiguousarray(points), **own._asdict()}


def detection_check_file(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """Give the bytes of the file `self_check.safetensors`."""
    return bytes(save(dict(tensors)))


def compare_boxes(
    found: Boxes3D, wanted: Mapping[str, NDArray[Any]], description: DetectionDescription
) -> tuple[float, float]:
    """Compare boxes with those of a self-check.

    Returns:
        the share of clear boxes, of both, that are among the others; and the largest difference of their scores.
    """
    own = _of(found, description)
    other = _Found(wanted["boxes"], wanted["scores"], wanted["class_ids"])
    gaps = [_score_gaps(own, other, description), _score_gaps(other, own, description)]
    both = np.concatenate(gaps)
    matched = both[np.isfinite(both)]
    return len(matched) / max(len(both), 1), float(matched.max(initial=0))


def has_clear_boxes(wanted: Mapping[str, NDArray[Any]], description: DetectionDescription) -> bool:
    """Whether a self-check tells anything."""
    return bool(_is_clear(wanted["scores"], description).any())


def _of(found: Boxes3D, description: DetectionDescription) -> _Found:
    columns = (found.centers, found.sizes, found.yaws[:, None], found.velocities)
    class_ids = np.array([description.classes.index(name) for name in found.class_names], np.uint8)
    return _Found(np.hstack(columns).astype(np.float32), np.asarray(found.scores, np.float32), class_ids)


def _is_clear(scores: NDArray[np.float32], description: DetectionDescription) -> NDArray[np.bool_]:
    clear: NDArray[np.bool_] = scores > description.decoding.min_score + SCORE
    return clear


def _score_gaps(these: _Found, those: _Found, description: DetectionDescription) -> NDArray[np.float32]:
    """For each clear box of these, how far the score of the most similar one of those is; infinite without any."""
    clear = _is_clear(these.scores, description)
    boxes, others = these.boxes[clear][:, None], those.boxes[None]
    turn = np.abs((boxes[..., 6] - others[..., 6] + np.pi) % (2 * np.pi) - np.pi)
    gaps = np.abs(these.scores[clear][:, None] - those.scores[None])
    same = (these.class_ids[clear][:, None] == those.class_ids[None]) & (gaps <= SCORE) & (turn <= YAW_RAD)
    same &= np.linalg.norm(boxes[..., :3] - others[..., :3], axis=-1) <= CENTER_M
    same &= (np.abs(boxes[..., 3:6] - others[..., 3:6]) <= SIZE * boxes[..., 3:6]).all(-1)
    same &= (np.abs(boxes[..., 7:9] - others[..., 7:9]) <= VELOCITY).all(-1)
    return np.where(same, gaps, np.float32(np.inf)).min(axis=1, initial=np.inf)
