"""Clouds as they come, good and bad, for tests."""

from __future__ import annotations

import array
from collections.abc import Mapping, Sequence

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField

XYZI = (("x", "f4"), ("y", "f4"), ("z", "f4"), ("intensity", "f4"))
DATATYPES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}


def some_points(count: int = 100, seed: int = 0) -> np.ndarray:
    """Float32 [count, 4]: x, y, z within 50 m, intensity in 0..1."""
    generator = np.random.default_rng(seed)
    points = generator.uniform(-50, 50, (count, 4)).astype(np.float32)
    points[:, 3] = generator.uniform(0, 1, count)
    return points


def make_cloud(
    columns: np.ndarray | Mapping[str, np.ndarray],
    fields: Sequence[tuple[str, str]] = XYZI,
    *,
    offsets: Sequence[int] | None = None,
    point_step: int | None = None,
    bigendian: bool = False,
    height: int = 1,
    row_padding: int = 0,
    frame_id: str = "lidar",
) -> PointCloud2:
    """Build a cloud of any layout.

    Args:
        columns: float [N, 4] (x, y, z, intensity), or a column by field name; a field without a column is zero.
        fields: (name, NumPy type) in the order in which the message names them.
        offsets: where each lies; one after another by default.
        point_step: bytes a point; up to the end of the last field by default.
        bigendian: byte order of the data.
        height: rows.
        row_padding: bytes after each row.
        frame_id: of the header.
    """
    if not isinstance(columns, Mapping):
        columns = {name: columns[:, index] for index, (name, _) in enumerate(XYZI)}
    sizes = [np.dtype(kind).itemsize for _, kind in fields]
    offsets = list(np.cumsum([0, *sizes])[:-1]) if offsets is None else list(offsets)
    point_step = max(o + s for o, s in zip(offsets, sizes, strict=True)) if point_step is None else point_step
    order = ">" if bigendian else "<"
    dtype = np.dtype(
        {
            "names": [name for name, _ in fields],
            "formats": [order + kind for _, kind in fields],
            "offsets": offsets,
            "itemsize": point_step,
        }
    )
    rows = np.zeros(len(next(iter(columns.values()))), dtype)
    for name, _ in fields:
        if name in columns:
            rows[name] = columns[name]
    packed = np.frombuffer(rows.tobytes(), np.uint8).reshape(height, -1)
    padded = np.pad(packed, ((0, 0), (0, row_padding)), constant_values=0xAB)
    cloud = PointCloud2(height=height, width=len(rows) // height)
    cloud.point_step, cloud.row_step = int(point_step), padded.shape[1]
    cloud.header.frame_id = frame_id
    cloud.is_bigendian = bigendian
    cloud.fields = [
        PointField(name=name, offset=int(offset), datatype=DATATYPES[kind], count=1)
        for (name, kind), offset in zip(fields, offsets, strict=True)
    ]
    cloud.data = array.array("B", padded.tobytes())
    return cloud


def stamped(points: np.ndarray, seconds: int, nanoseconds: int = 123_456_789) -> PointCloud2:
    """A cloud with this stamp."""
    cloud = make_cloud(points)
    cloud.header.stamp.sec, cloud.header.stamp.nanosec = seconds, nanoseconds
    return cloud


def columns_of(cloud: PointCloud2) -> np.ndarray:
    """A published cloud as a structured array, written without the code under test."""
    kinds = {number: kind for kind, number in DATATYPES.items()}
    order = ">" if cloud.is_bigendian else "<"
    dtype = np.dtype(
        {
            "names": [field.name for field in cloud.fields],
            "formats": [order + kinds[field.datatype] for field in cloud.fields],
            "offsets": [field.offset for field in cloud.fields],
            "itemsize": cloud.point_step,
        }
    )
    assert len(cloud.data) == cloud.height * cloud.row_step == cloud.height * cloud.width * cloud.point_step
    return np.frombuffer(bytes(cloud.data), dtype)
