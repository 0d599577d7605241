"""Boxes -> vision_msgs/Detection3DArray, and markers to look at them."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA, Header
from vision_msgs.msg import (
    Detection3D,
    Detection3DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)
from visualization_msgs.msg import Marker, MarkerArray

from perception.types import Boxes3D

#: RGB 0..255 of a class that has none.
NO_COLOR = (200, 200, 200)
BOX_ALPHA, TEXT_HEIGHT_M, ARROW_WIDTH_M = 0.45, 0.8, 0.15
#: An arrow ends where the object will be in this time; slower objects than this get none.
ARROW_S, STILL_M_S = 1.0, 0.3

Message = TypeVar("Message")
#: What messages are copied from: a constructor first makes every part anew, also those that it is given.
_MARKER, _DETECTION, _RESULT = Marker(), Detection3D(), ObjectHypothesisWithPose()


def encode_detections(header: Header, boxes: Boxes3D) -> Detection3DArray:
    """Make detections: array and elements carry the header; class_id is the class's name, size x the length.

    Args:
        header: the input's, taken over unchanged.
        boxes: in the header's frame.
    """
    ids = boxes.ids or ("",) * len(boxes)
    detections = []
    for index, (name, identifier) in enumerate(zip(boxes.class_names, ids, strict=True)):
        pose = _pose(boxes, index)
        hypothesis = ObjectHypothesis(class_id=name, score=float(boxes.scores[index]))
        result = _like(_RESULT, hypothesis=hypothesis, pose=_like(_RESULT.pose, pose=pose))
        box = _like(_DETECTION.bbox, center=pose, size=_vector(boxes.sizes[index]))
        detections.append(_like(_DETECTION, header=header, results=[result], bbox=box, id=identifier))
    return Detection3DArray(header=header, detections=detections)


def encode_markers(
    header: Header, boxes: Boxes3D, colors: Mapping[str, tuple[int, int, int]], lifetime_s: float = 0.5
) -> MarkerArray:
    """Make markers: a box, its class and score, and an arrow along the velocity where that is known.

    The first marker deletes those of the frame before, so that none stays behind.

    Args:
        header: the input's, taken over unchanged.
        boxes: in the header's frame.
        colors: RGB 0..255 by class name.
        lifetime_s: after which markers go if nothing follows.
    """
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for index, name in enumerate(boxes.class_names):
        color, pose = colors.get(name, NO_COLOR), _pose(boxes, index)
        cube = _like(
            _MARKER, type=Marker.CUBE, pose=pose, scale=_vector(boxes.sizes[index]), color=_color(color, BOX_ALPHA)
        )
        text = _like(
            _MARKER,
            type=Marker.TEXT_VIEW_FACING,
            pose=Pose(position=_above(boxes, index), orientation=Quaternion(w=1.0)),
            scale=Vector3(z=TEXT_HEIGHT_M),
            color=_color(color, 1.0),
            text=f"{name} {boxes.scores[index]:.2f}",
        )
        arrow = _arrow(boxes, index, color)
        for namespace, marker in (("boxes", cube), ("names", text), ("velocities", arrow)):
            if marker is not None:
                marker.header, marker.ns, marker.id = header, namespace, index
                marker.lifetime = _duration(lifetime_s)
                markers.append(marker)
    return MarkerArray(markers=markers)


def _like(template: Message, **fields: Any) -> Message:
    """A message with these fields, and otherwise the parts of a template, which nobody changes."""
    message = copy.copy(template)
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def _arrow(boxes: Boxes3D, index: int, color: tuple[int, int, int]) -> Marker | None:
    velocity = boxes.velocities[index]
    if not np.isfinite(velocity).all() or math.hypot(*velocity) < STILL_M_S:
        return None
    begin = boxes.centers[index]
    end = begin + np.array([*velocity, 0.0]) * ARROW_S
    return _like(
        _MARKER,
        type=Marker.ARROW,
        points=[_point(begin), _point(end)],
        scale=Vector3(x=ARROW_WIDTH_M, y=2 * ARROW_WIDTH_M),
        pose=Pose(orientation=Quaternion(w=1.0)),
        color=_color(color, 1.0),
    )


def _pose(boxes: Boxes3D, index: int) -> Pose:
    half = float(boxes.yaws[index]) / 2
    turned = Quaternion(x=0.0, y=0.0, z=math.sin(half), w=math.cos(half))
    return _like(_MARKER.pose, position=_point(boxes.centers[index]), orientation=turned)


def _above(boxes: Boxes3D, index: int) -> Point:
    x, y, z = (float(value) for value in boxes.centers[index])
    return Point(x=x, y=y, z=z + float(boxes.sizes[index, 2]) / 2 + TEXT_HEIGHT_M / 2)


def _point(values: np.ndarray) -> Point:
    x, y, z = (float(value) for value in values)
    return Point(x=x, y=y, z=z)


def _vector(values: np.ndarray) -> Vector3:
    x, y, z = (float(value) for value in values)
    return Vector3(x=x, y=y, z=z)


def _color(rgb: tuple[int, int, int], alpha: float) -> ColorRGBA:
    red, green, blue = (value / 255 for value in rgb)
    return ColorRGBA(r=red, g=green, b=blue, a=alpha)


def _duration(seconds: float) -> Duration:
    whole = int(seconds)
    return Duration(sec=whole, nanosec=int((seconds - whole) * 1e9))
