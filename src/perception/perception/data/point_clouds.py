"""PointCloud2 -> PointCloud, without copying where the layout allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.classes import IGNORED
from perception.data.point_layout import CloudLayout, layout_of, require
from perception.types import LabelledCloud, PointCloud

COORDINATES = ("x", "y", "z")
FLOAT32 = np.dtype("<f4")
#: No LiDAR sees this far, but some drivers write a huge number where there was no return; networks number their voxels
#: from -65,504 to 65,503, 13 km at 0.2 m.
MAX_COORDINATE_M = 5_000.0


@dataclass(frozen=True)
class CloudSettings:
    """How clouds are read.

    Attributes:
        intensity_scale: factor that brings intensity to 0..1; 0 chooses by type: 1 for floats, 1/255 for 8-bit and
            1/65535 for 16-bit integers.
        intensity_if_missing: the value of every point when a cloud has no intensity; negative: refuse such clouds.
        max_points: points beyond this many, in order, are not given to the network.
    """

    intensity_scale: float = 0.0
    intensity_if_missing: float = -1.0
    max_points: int = 300_000


@dataclass(frozen=True)
class DecodedCloud:
    """A cloud as the network wants it, and how its points relate to the message's.

    Attributes:
        layout: the message's layout; its `count` is the number of points that every output must have.
        coordinates: float32 [count, 3] in the message's order, non-finite rows included.
        cloud: finite points within capacity, in order.
        used: bool [count], which points `cloud` holds; None when it holds all of them.
        oddities: keys under which unusual but usable clouds are counted.
        non_finite: how many rows have a coordinate or intensity that is not finite.
        too_far: how many finite points lie farther than MAX_COORDINATE_M along an axis.
        over_capacity: how many points lie beyond `max_points`.
    """

    layout: CloudLayout
    coordinates: NDArray[np.float32]
    cloud: PointCloud
    used: NDArray[np.bool_] | None
    oddities: tuple[str, ...]
    non_finite: int = 0
    too_far: int = 0
    over_capacity: int = 0

    def spread(self, labelled: LabelledCloud) -> LabelledCloud:
        """Give every point of the message a label: those that the network did not see get 255 and probability 0."""
        if self.used is None:
            return labelled
        class_ids = np.full(self.layout.count, IGNORED, np.uint8)
        probabilities = np.zeros(self.layout.count, np.float32)
        class_ids[self.used] = labelled.class_ids
        probabilities[self.used] = labelled.probabilities
        return LabelledCloud(class_ids, probabilities, labelled.stage_ms)


def decode_point_cloud(message: Any, settings: CloudSettings | None = None) -> DecodedCloud:
    """Read a sensor_msgs/PointCloud2 (or anything with its attributes).

    Where x, y, z and intensity are consecutive little-endian float32 and nothing has to be left out, the result's
    points are a strided view of the message's buffer; otherwise they are a copy. The message is never written to.

    Raises:
        CloudError: the cloud cannot be used; its `reason` says under which key to count it.
    """
    settings = settings or CloudSettings()
    layout = layout_of(message)
    has_intensity = any(field.name == "intensity" for field in message.fields)
    needs_intensity = settings.intensity_if_missing < 0 or has_intensity
    if layout.count or message.fields:
        require(message, layout, (*COORDINATES, "intensity") if needs_intensity else COORDINATES)
    if not layout.count:
        empty = np.empty((0, 4), np.float32)
        return DecodedCloud(layout, empty[:, :3], PointCloud(empty), None, ("empty",))
    points = points_of(layout, settings)
    used, left_out = _usable(points, settings.max_points)
    chosen = points if used is None else points[used]
    oddities = (*(name for name, count in left_out.items() if count), *_oddities(message, layout))
    return DecodedCloud(layout, points[:, :3], PointCloud(chosen), used, oddities, **left_out)


def points_of(layout: CloudLayout, settings: CloudSettings) -> NDArray[np.float32]:
    """Give float32 [count, 4]: a view where x, y, z and intensity already lie like that, else a copy."""
    scale = _intensity_scale(layout, settings)
    if scale == 1.0 and _is_viewable(layout):
        offset = layout.fields["x"][1]
        view: NDArray[np.float32] = np.ndarray(
            (layout.count, 4), FLOAT32, layout.buffer, offset, (layout.point_step, FLOAT32.itemsize)
        )
        view.flags.writeable = False
        return view
    points = np.empty((layout.count, 4), np.float32)
    points[:, 3] = settings.intensity_if_missing
    # A float64 beyond float32's range becomes infinite, and is counted with the other non-finite rows.
    with np.errstate(over="ignore", invalid="ignore"):
        for column, name in enumerate(COORDINATES):
            points[:, column] = layout.field(name)
        if "intensity" in layout.fields:
            np.multiply(layout.field("intensity"), scale, out=points[:, 3], casting="unsafe")
    return points


def _is_viewable(layout: CloudLayout) -> bool:
    names = (*COORDINATES, "intensity")
    if layout.has_row_padding or any(name not in layout.fields for name in names):
        return False
    first = layout.fields["x"][1]
    return all(layout.fields[name] == (FLOAT32, first + 4 * index) for index, name in enumerate(names))


def _intensity_scale(layout: CloudLayout, settings: CloudSettings) -> float:
    if "intensity" not in layout.fields or settings.intensity_scale:
        return settings.intensity_scale or 1.0
    dtype = layout.fields["intensity"][0]
    return 1.0 if dtype.kind == "f" else 1.0 / np.iinfo(dtype).max


def _usable(points: NDArray[np.float32], max_points: int) -> tuple[NDArray[np.bool_] | None, dict[str, int]]:
    """Which points the network gets (None: all), and how many it does not get, by reason."""
    over_capacity = max(0, len(points) - max_points)
    # False for NaN and infinity too, so an ordinary cloud is looked through once.
    near = np.abs(points[:, :3]) <= MAX_COORDINATE_M
    if near.all() and np.isfinite(points[:, 3]).all() and not over_capacity:
        return None, {}
    is_finite = np.logical_and.reduce(np.isfinite(points), axis=1)
    used: NDArray[np.bool_] = is_finite & np.logical_and.reduce(near, axis=1)
    left_out = {
        "non_finite": len(points) - int(np.count_nonzero(is_finite)),
        "too_far": int(np.count_nonzero(is_finite)) - int(np.count_nonzero(used)),
        "over_capacity": over_capacity,
    }
    used[max_points:] = False
    return used, left_out


def _oddities(message: Any, layout: CloudLayout) -> tuple[str, ...]:
    offsets = [layout.fields[name][1] for name in COORDINATES]
    intensity = layout.fields.get("intensity")
    found = {
        "big_endian": bool(message.is_bigendian),
        "row_padding": layout.has_row_padding,
        "unordered_fields": offsets != sorted(offsets),
        "float64_coordinates": any(layout.fields[name][0].itemsize == 8 for name in COORDINATES),
        "integer_coordinates": any(layout.fields[name][0].kind != "f" for name in COORDINATES),
        "integer_intensity": intensity is not None and intensity[0].kind != "f",
        "no_intensity": intensity is None,
        "no_frame_id": not message.header.frame_id,
    }
    return tuple(name for name, is_so in found.items() if is_so)
