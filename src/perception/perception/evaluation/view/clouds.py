"""What is in a cloud to look at: classes, velocities, colours, or just heights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.data.point_layout import CloudLayout, layout_of, require
from perception.evaluation.view.viewer import Viewer

COORDINATES = ("x", "y", "z")
#: How points without classes can be coloured, and by which field that is.
COLOR_FIELDS = {"height": "z", "intensity": "intensity"}
Fields = Mapping[str, NDArray[Any]]


def show_cloud(viewer: Viewer, entity: str, message: Any, color_by: str = "height", has_names: bool = True) -> None:
    """Show a PointCloud2: classes where it has `class_id`, arrows where it has `vx` and `vy`, colours where `rgb`.

    Args:
        viewer: shows it.
        entity: its name there.
        message: sensor_msgs/PointCloud2, or anything with its attributes.
        color_by: how points without any of these are coloured, a key of COLOR_FIELDS.
        has_names: whether the viewer knows what its classes are; else their `rgb` says more, where they have it.

    Raises:
        CloudError: it cannot be used.
    """
    frame_id = message.header.frame_id
    points, fields = _finite(message)
    if "class_id" in fields and (has_names or "rgb" not in fields):
        viewer.labelled(entity, frame_id, points, fields["class_id"].astype(np.uint16))
    elif "vx" in fields and "vy" in fields:
        viewer.arrows(entity, frame_id, points, np.stack([fields["vx"], fields["vy"]], axis=1))
    elif "rgb" in fields:
        viewer.colored(entity, frame_id, points, _red_green_blue(fields["rgb"]), is_labelling="class_id" in fields)
    else:
        by = COLOR_FIELDS[color_by]
        viewer.cloud(entity, frame_id, points, fields[by if by in fields else "z"])


def _finite(message: Any) -> tuple[NDArray[np.float32], Fields]:
    """Float32 [N, 3] of the points that are somewhere, and all their fields, each [N]."""
    layout: CloudLayout = layout_of(message)
    if not layout.count:
        return np.empty((0, 3), np.float32), {name: np.empty(0) for name in (*COORDINATES, *layout.fields)}
    require(message, layout, COORDINATES)
    points = np.stack([layout.field(name).astype(np.float32) for name in COORDINATES], axis=1)
    is_finite = np.isfinite(points).all(axis=1)
    return points[is_finite], {name: layout.field(name)[is_finite] for name in layout.fields}


def _red_green_blue(packed: NDArray[Any]) -> NDArray[np.uint8]:
    """Uint8 [N, 3] of 0x00RRGGBB, which RViz has in a float's or an integer's bytes."""
    values = np.ascontiguousarray(packed).astype(packed.dtype.newbyteorder("="), copy=False).view(np.uint32)
    return np.stack([values >> 16 & 255, values >> 8 & 255, values & 255], axis=1).astype(np.uint8)
