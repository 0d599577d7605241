"""Sweeps as sensor_msgs/PointCloud2 and back, without a loop over points."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.data.bag_types import BagError, header, new, stamp_ns_of
from perception.data.point_clouds import CloudSettings, points_of
from perception.data.point_layout import CloudError, layout_of
from perception.types import PointCloud

#: name -> (offset in bytes, NumPy type) in the clouds written here; after `intensity`, only fields that are known.
FIELDS: dict[str, tuple[int, str]] = {
    "x": (0, "f4"),
    "y": (4, "f4"),
    "z": (8, "f4"),
    "intensity": (12, "f4"),
    "ring": (16, "u2"),
    "class_id": (18, "u1"),
    "time": (20, "f4"),
    "instance": (24, "u4"),
}
POINT_STEP, POINT_STEP_WITH_INSTANCES = 24, 28
COORDINATES = ("x", "y", "z", "intensity")

#: sensor_msgs/PointField datatype -> NumPy type.
DATATYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
DATATYPE_OF = {numpy_type: datatype for datatype, numpy_type in DATATYPES.items()}


def encode_cloud(
    cloud: PointCloud,
    stamp_ns: int,
    frame_id: str,
    class_ids: NDArray[np.uint8] | None = None,
    instance_ids: NDArray[np.uint32] | None = None,
) -> Any:
    """Make a PointCloud2 of the fields that are known; 24 bytes a point, 28 with instances.

    Raises:
        ValueError: an array's length differs from the cloud's.
    """
    columns = dict(zip(COORDINATES, cloud.points.T, strict=True))
    extras = {"ring": cloud.ring, "class_id": class_ids, "time": cloud.time_s, "instance": instance_ids}
    columns.update({name: values for name, values in extras.items() if values is not None})
    point_step = POINT_STEP if instance_ids is None else POINT_STEP_WITH_INSTANCES
    layout = np.dtype(
        {
            "names": list(columns),
            "formats": [FIELDS[name][1] for name in columns],
            "offsets": [FIELDS[name][0] for name in columns],
            "itemsize": point_step,
        }
    )
    return _message(columns, layout, stamp_ns, frame_id)


def encode_table(columns: dict[str, NDArray[Any]], stamp_ns: int, frame_id: str) -> Any:
    """Make a PointCloud2 of equally long columns, x, y and z among them, each of its own type, one after the other."""
    layout = np.dtype([(name, values.dtype) for name, values in columns.items()], align=True)
    return _message(columns, layout, stamp_ns, frame_id)


def _message(columns: dict[str, NDArray[Any]], layout: np.dtype[np.void], stamp_ns: int, frame_id: str) -> Any:
    count = len(columns["x"])
    records = np.zeros(count, layout)
    for name, values in columns.items():
        if len(values) != count:
            raise ValueError(f"{len(values)} values of {name} for {count} points")
        records[name] = values
    return new(
        "sensor_msgs/PointCloud2",
        header=header(stamp_ns, frame_id),
        height=1,
        width=count,
        fields=_point_fields(layout),
        is_bigendian=sys.byteorder == "big",
        point_step=layout.itemsize,
        row_step=layout.itemsize * count,
        data=records.view(np.uint8),
        is_dense=all(bool(np.isfinite(columns[name]).all()) for name in ("x", "y", "z")),
    )


def _point_fields(layout: np.dtype[np.void]) -> list[Any]:
    placed = sorted((layout.fields or {}).items(), key=lambda item: item[1][1])
    return [
        new("sensor_msgs/PointField", name=name, offset=place[1], datatype=DATATYPE_OF[place[0].str[1:]], count=1)
        for name, place in placed
    ]


def records_of(message: Any) -> NDArray[np.void]:
    """View a PointCloud2's buffer as records [N] with its own field names; copies only where rows are padded.

    Raises:
        BagError: the buffer is shorter than the message says, or a field lies outside a point.
    """
    order = ">" if message.is_bigendian else "<"
    fields = [field for field in message.fields if field.datatype in DATATYPES and field.count in (0, 1)]
    try:
        layout = np.dtype(
            {
                "names": [field.name for field in fields],
                "formats": [order + DATATYPES[field.datatype] for field in fields],
                "offsets": [field.offset for field in fields],
                "itemsize": message.point_step,
            }
        )
        shape, strides = (message.height, message.width), (message.row_step, message.point_step)
        if 0 in shape:
            return np.empty(0, layout)
        return np.ndarray(shape, layout, np.ascontiguousarray(message.data), 0, strides).reshape(-1)
    except (ValueError, TypeError) as error:
        raise BagError(f"a PointCloud2 contradicts itself: {error}") from None


def decode_cloud(message: Any) -> PointCloud:
    """Read a PointCloud2: x, y, z, intensity, and `ring` and `time` where they are.

    The points are those that a node would read: intensities of integers become 0..1. They are a view of the message's
    buffer where its layout allows.

    Raises:
        BagError: one of x, y, z, intensity is missing, or the message contradicts itself.
    """
    records = records_of(message)
    names = records.dtype.names or ()
    if missing := [name for name in COORDINATES if name not in names]:
        found = ", ".join(names) or "none"
        raise BagError(f"a PointCloud2 lacks the fields {', '.join(missing)} (it has: {found})")
    try:
        points = points_of(layout_of(message), CloudSettings()) if len(records) else np.empty((0, 4), np.float32)
    except CloudError as error:
        raise BagError(f"a PointCloud2 contradicts itself: {error}") from None
    return PointCloud(points, column_of(records, "time", np.float32), column_of(records, "ring", np.uint16))


def as_point_cloud(message: Any) -> Any:
    """Give a PointCloud2 of another definition, with more fields, as today's; its data are not copied.

    Raises:
        BagError: it lacks something.
    """
    try:
        names = "height", "width", "is_bigendian", "point_step", "row_step", "data", "is_dense"
        fields = [
            new("sensor_msgs/PointField", name=one.name, offset=one.offset, datatype=one.datatype, count=one.count)
            for one in message.fields
        ]
        return new(
            "sensor_msgs/PointCloud2",
            header=header(stamp_ns_of(message), message.header.frame_id),
            fields=fields,
            **{name: getattr(message, name) for name in names},
        )
    except AttributeError as error:
        raise BagError(f"no sensor_msgs/PointCloud2 ({error})") from None


def column_of(records: NDArray[np.void], name: str, kind: type[np.generic]) -> NDArray[Any] | None:
    """Copy one field [N] as `kind`; None where the cloud has no such field."""
    return records[name].astype(kind) if name in (records.dtype.names or ()) else None
