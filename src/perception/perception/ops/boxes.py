"""Boxes of objects, natively: rotated IoU and suppression.

Boxes are float32 [N, 7 or more]: x, y, z of the geometric centre, length (along x at yaw 0), width, height in metres,
and yaw in radians, counter-clockwise seen from above, any finite angle; further columns are left alone. A box that is
not finite, or whose area is 0, overlaps nothing. Peaks of heat maps and decoding are in `perception.ops.detections`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perception.ops import binding
from perception.ops.arrays import Array, as_array, empty

binding.declare(
    pk_box_iou="plpliip",
    pk_box_iou_aligned="ppliip",
    pk_rotated_nms="plipppipp",
    pk_circle_nms="plipppipp",
)

_MOST = 2**31 - 1


@dataclass(frozen=True)
class ClassSuppression:
    """How the boxes of one class suppress each other.

    Attributes:
        limit: for `rotated_nms` the largest IoU with a better box, for `circle_nms` the radius in metres.
        score_above: boxes that do not score more than this are left out.
        candidates: how many of the best take part.
        kept: how many may be kept.
    """

    limit: float
    score_above: float = 0.0
    candidates: int = _MOST
    kept: int = _MOST


class _Rules(ctypes.Structure):
    """One class's rules (pk_class_suppression)."""

    _fields_ = (
        ("limit", ctypes.c_float),
        ("score_above", ctypes.c_float),
        ("candidates", ctypes.c_int32),
        ("kept", ctypes.c_int32),
    )


def box_iou(first: Any, second: Any, *, three_d: bool = False, threads: int | None = None) -> Array:
    """Give the intersection over union of every pair of boxes, seen from above or (`three_d`) of their volumes.

    Args:
        first: float32 [N, 7 or more] boxes.
        second: float32 [M, as many columns] boxes.
        three_d: whether heights count.
        threads: CPU threads, all by default.

    Returns:
        float32 [N, M], 0..1, exact to 1e-6; 0 below that, so that boxes apart from each other have none at all.
    """
    first, second = _two_kinds(first, second)
    result = empty(first, (len(first), len(second)), np.float32)
    arguments = (first, len(first), second, len(second), first.shape[1], int(three_d), result)
    binding.call("pk_box_iou", *arguments, threads=threads)
    return result


def box_iou_aligned(first: Any, second: Any, *, three_d: bool = False, threads: int | None = None) -> Array:
    """Give the intersection over union of the boxes in equal rows of two arrays: float32 [N]; else as `box_iou`."""
    first, second = _two_kinds(first, second)
    if len(first) != len(second):
        raise ValueError(f"first and second must have as many rows, found {len(first)} and {len(second)}")
    result = empty(first, len(first), np.float32)
    binding.call("pk_box_iou_aligned", first, second, *first.shape, int(three_d), result, threads=threads)
    return result


def rotated_nms(
    boxes: Any,
    scores: Any,
    rules: ClassSuppression | Sequence[ClassSuppression],
    labels: Any = None,
    threads: int | None = None,
) -> Array:
    """Keep the best of boxes that overlap seen from above, greedily from the best score down.

    A box goes if its BEV IoU with a kept box of its class exceeds the class's limit. Of equal scores the first row is
    the better one; a score that is NaN leaves its box out.

    Args:
        boxes: float32 [N, 7 or more].
        scores: float32 [N].
        rules: of each class; one alone without labels.
        labels: int32 [N], the class of each box; None where all suppress each other. On a GPU, boxes of classes that
            do not exist are left out; on the CPU they are an error.
        threads: CPU threads, all by default; classes are done side by side.

    Returns:
        int32 rows of the kept boxes, class by class and by falling score within a class.
    """
    return _nms("pk_rotated_nms", boxes, scores, rules, labels, threads)


def circle_nms(
    boxes: Any,
    scores: Any,
    rules: ClassSuppression | Sequence[ClassSuppression],
    labels: Any = None,
    threads: int | None = None,
) -> Array:
    """Keep the best of boxes whose centres lie within a distance of each other, seen from above.

    A box goes if a kept one of its class lies within the limit (included); else as `rotated_nms`. CenterPoint and
    TransFusion compare the squared distance with their `min_radius`: the limit here is its square root.
    """
    return _nms("pk_circle_nms", boxes, scores, rules, labels, threads)


def _nms(function: str, boxes: Any, scores: Any, rules: Any, labels: Any, threads: int | None) -> Array:
    boxes = as_array(boxes, np.float32, (None, None), "boxes")
    scores = as_array(scores, np.float32, (len(boxes),), "scores")
    if labels is not None:
        labels = as_array(labels, np.int32, (len(boxes),), "labels")
    classes = (rules,) if isinstance(rules, ClassSuppression) else tuple(rules)
    native = (_Rules * len(classes))(*(_native_rules(each) for each in classes))
    kept, count = empty(boxes, len(boxes), np.int32), ctypes.c_int64()
    arguments = (boxes, *boxes.shape, scores, labels, native, len(classes), kept, ctypes.byref(count))
    binding.call(function, *arguments, threads=threads)
    return kept[: count.value]


def _native_rules(rules: ClassSuppression) -> _Rules:
    return _Rules(rules.limit, rules.score_above, min(rules.candidates, _MOST), min(rules.kept, _MOST))


def _two_kinds(first: Any, second: Any) -> tuple[Array, Array]:
    first = as_array(first, np.float32, (None, None), "first")
    return first, as_array(second, np.float32, (None, first.shape[1]), "second")
