"""Encoding results: what leaves is what RViz, PCL and downstream nodes read."""

from __future__ import annotations

import numpy as np
from clouds import XYZI, columns_of, make_cloud, some_points
from sensor_msgs.msg import PointField

from perception.data.point_layout import layout_of
from perception.ros.cloud_encoding import encode_filtered, encode_segmentation, encode_visualization


def test_segmentation_has_a_row_for_each_point():
    points = some_points(6)
    points[2, 0] = np.nan
    source = make_cloud(points)

    cloud = encode_segmentation(
        source.header, points[:, :3], np.arange(6, dtype=np.uint8), np.linspace(0, 1, 6, dtype=np.float32), height=2
    )

    columns = columns_of(cloud)
    assert cloud.header == source.header
    assert (cloud.height, cloud.width, cloud.row_step) == (2, 3, 60)
    assert [(f.name, f.datatype) for f in cloud.fields] == [
        ("x", PointField.FLOAT32),
        ("y", PointField.FLOAT32),
        ("z", PointField.FLOAT32),
        ("class_id", PointField.UINT8),
        ("probability", PointField.FLOAT32),
    ]
    assert np.array_equal(columns["x"], points[:, 0], equal_nan=True)
    assert columns["class_id"].tolist() == list(range(6))
    assert columns["probability"][-1] == 1


def test_visualization_packs_colour_as_rviz_reads_it():
    cloud = encode_visualization(make_cloud(some_points(2)).header, some_points(2)[:, :3], np.uint32([0xFF8000, 1]))

    assert cloud.fields[3].name == "rgb"
    assert cloud.fields[3].datatype == PointField.FLOAT32
    # PCL's memory order is b, g, r, unused.
    assert bytes(cloud.data[12:16]) == bytes([0x00, 0x80, 0xFF, 0x00])


def test_filtered_keeps_the_bytes_of_the_others():
    fields = (*XYZI, ("ring", "u2"), ("time", "f8"))
    source = make_cloud(some_points(9), fields, bigendian=True, height=3, row_padding=5, point_step=31)
    keep = np.arange(9) % 2 == 0

    cloud = encode_filtered(source, layout_of(source), keep)

    rows = np.frombuffer(bytes(source.data), np.uint8).reshape(3, -1)[:, : 3 * 31].reshape(9, 31)
    assert bytes(cloud.data) == rows[keep].tobytes()
    assert (cloud.height, cloud.width, cloud.point_step, cloud.row_step) == (1, 5, 31, 155)
    assert cloud.fields == source.fields
    assert cloud.is_bigendian
    assert cloud.header == source.header


def test_filtering_everything_or_nothing_there():
    source = make_cloud(some_points(3))

    nothing = encode_filtered(source, layout_of(source), np.zeros(3, bool))
    empty = make_cloud(some_points(0))

    assert (nothing.width, len(nothing.data)) == (0, 0)
    assert encode_filtered(empty, layout_of(empty), np.zeros(0, bool)).width == 0
    assert encode_segmentation(empty.header, np.empty((0, 3)), np.empty(0), np.empty(0)).width == 0
