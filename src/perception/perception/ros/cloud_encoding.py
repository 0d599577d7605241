"""Results -> PointCloud2: labelled and coloured clouds, the input without chosen classes, velocities of boxes."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from perception.data.point_layout import CloudLayout
from perception.types import Boxes3D

#: x y z, then probability before class_id in memory, so that every field is aligned and a point takes 20 bytes.
SEGMENTATION_DTYPE = np.dtype(
    {
        "names": ["x", "y", "z", "class_id", "probability"],
        "formats": ["<f4", "<f4", "<f4", "u1", "<f4"],
        "offsets": [0, 4, 8, 16, 12],
        "itemsize": 20,
    }
)
SEGMENTATION_FIELDS = [
    PointField(name="x", offset=0, datatype=PointField.FLOAT32, count=1),
    PointField(name="y", offset=4, datatype=PointField.FLOAT32, count=1),
    PointField(name="z", offset=8, datatype=PointField.FLOAT32, count=1),
    PointField(name="class_id", offset=16, datatype=PointField.UINT8, count=1),
    PointField(name="probability", offset=12, datatype=PointField.FLOAT32, count=1),
]

VISUALIZATION_DTYPE = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4")])
#: RViz and PCL want the packed colour declared as a float.
VISUALIZATION_FIELDS = [
    PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
    for index, name in enumerate(("x", "y", "z", "rgb"))
]

#: As `perception.data.bag_messages.decode_objects` reads them.
VELOCITY_FIELDS = [
    PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
    for index, name in enumerate(("x", "y", "z", "vx", "vy"))
]


def encode_segmentation(
    header: Header,
    coordinates: NDArray[np.float32],
    class_ids: NDArray[np.uint8],
    probabilities: NDArray[np.float32],
    height: int = 1,
) -> PointCloud2:
    """Make the labelled cloud: x y z, class_id (uint8) and probability (float32), a row for each input point.

    Args:
        header: the input's, taken over unchanged.
        coordinates: float32 [N, 3].
        class_ids: uint8 [N], 255 where unlabelled.
        probabilities: float32 [N], 0 where unlabelled.
        height: rows of an organised cloud.
    """
    data, rows = _new_rows(len(coordinates), SEGMENTATION_DTYPE)
    _fill_coordinates(rows, coordinates)
    rows["class_id"] = class_ids
    rows["probability"] = probabilities
    return _cloud(header, data, (height, len(rows) // height), SEGMENTATION_DTYPE.itemsize, SEGMENTATION_FIELDS)


def encode_visualization(
    header: Header, coordinates: NDArray[np.float32], rgb: NDArray[np.uint32], height: int = 1
) -> PointCloud2:
    """Make the cloud that RViz colours by its field `rgb`.

    Args:
        header: the input's, taken over unchanged.
        coordinates: float32 [N, 3].
        rgb: uint32 [N], 0x00RRGGBB.
        height: rows of an organised cloud.
    """
    data, rows = _new_rows(len(coordinates), VISUALIZATION_DTYPE)
    _fill_coordinates(rows, coordinates)
    rows["rgb"] = rgb
    return _cloud(header, data, (height, len(rows) // height), VISUALIZATION_DTYPE.itemsize, VISUALIZATION_FIELDS)


def encode_filtered(message: Any, layout: CloudLayout, keep: NDArray[np.bool_]) -> PointCloud2:
    """Make the input cloud without some points; fields, byte order and the bytes of the others are unchanged.

    Args:
        message: the input PointCloud2.
        layout: its layout.
        keep: bool [N], which points stay.
    """
    kept = int(np.count_nonzero(keep))
    data = array.array("B")
    if kept:
        data.frombytes(layout.rows()[keep].view(np.uint8).data)
    filtered = _cloud(message.header, data, (1, kept), layout.point_step, message.fields)
    filtered.is_bigendian = message.is_bigendian
    filtered.is_dense = message.is_dense
    return filtered


def encode_velocities(header: Header, boxes: Boxes3D) -> PointCloud2:
    """Make a row x y z vx vy (m, m/s) of each box, in their order; NaN where a velocity is not known.

    Args:
        header: that of the boxes.
        boxes: in the header's frame.
    """
    table = np.concatenate([boxes.centers, boxes.velocities], axis=1).astype("<f4")
    data = array.array("B", table.tobytes())
    return _cloud(header, data, (1, len(boxes)), 4 * len(VELOCITY_FIELDS), VELOCITY_FIELDS)


def _new_rows(count: int, dtype: np.dtype[Any]) -> tuple[array.array[int], NDArray[Any]]:
    """A zeroed message buffer and a writable structured view of it."""
    # rclpy takes over an array.array as it is; any other sequence is checked byte by byte.
    data = array.array("B", (0,)) * (count * dtype.itemsize)
    return data, np.frombuffer(data, dtype) if count else np.empty(0, dtype)


def _fill_coordinates(rows: NDArray[Any], coordinates: NDArray[np.float32]) -> None:
    for column, name in enumerate(("x", "y", "z")):
        rows[name] = coordinates[:, column]


def _cloud(
    header: Header, data: array.array[int], shape: tuple[int, int], point_step: int, fields: list[PointField]
) -> PointCloud2:
    cloud = PointCloud2(header=header, height=shape[0], width=shape[1], fields=fields)
    cloud.point_step = point_step
    cloud.row_step = shape[1] * point_step
    cloud.data = data
    return cloud
