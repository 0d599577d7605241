"""Clouds of every layout are read as they were meant."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception.data.bag_clouds import DATATYPE_OF, decode_cloud, encode_cloud, records_of
from perception.data.bag_types import BagError, header, new, typestore
from perception.data.point_clouds import decode_point_cloud
from perception.types import PointCloud

NAME = "sensor_msgs/msg/PointCloud2"


def cloud_of(records: np.ndarray, height: int = 1, row_padding: int = 0) -> object:
    """A message with any layout, rows padded with 0xAB."""
    rows = records.reshape(height, -1)
    data = b"".join(row.tobytes() + b"\xab" * row_padding for row in rows)
    fields = [
        new("sensor_msgs/PointField", name=name, offset=offset, datatype=DATATYPE_OF[kind.str[1:]], count=1)
        for name, (kind, offset) in records.dtype.fields.items()
    ]
    return new(
        "sensor_msgs/PointCloud2",
        header=header(1, "lidar"),
        height=height,
        width=rows.shape[1],
        fields=fields,
        is_bigendian=records.dtype[0].byteorder == ">",
        point_step=records.dtype.itemsize,
        row_step=records.dtype.itemsize * rows.shape[1] + row_padding,
        data=np.frombuffer(data, np.uint8),
        is_dense=True,
    )


def over_the_wire(message: object) -> object:
    return typestore().deserialize_cdr(typestore().serialize_cdr(message, NAME), NAME)


@given(
    count=st.integers(0, 30),
    with_ring=st.booleans(),
    with_time=st.booleans(),
    with_classes=st.booleans(),
    with_instances=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_our_own_layout(
    count: int, with_ring: bool, with_time: bool, with_classes: bool, with_instances: bool, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    # Any bits at all, not-a-number with payloads included.
    points = generator.integers(0, 1 << 32, (count, 4), dtype=np.uint32).view(np.float32)
    ring = generator.integers(0, 1 << 16, count, dtype=np.uint16) if with_ring else None
    time_s = generator.normal(size=count).astype(np.float32) if with_time else None
    class_ids = generator.integers(0, 256, count, dtype=np.uint8) if with_classes else None
    instance_ids = generator.integers(0, 1 << 32, count, dtype=np.uint32) if with_instances else None
    message = over_the_wire(encode_cloud(PointCloud(points, time_s, ring), 5, "lidar", class_ids, instance_ids))
    assert message.point_step == (28 if with_instances else 24)
    assert len(message.data) == message.row_step == message.point_step * count
    read, records = decode_cloud(message), records_of(message)
    assert read.points.tobytes() == points.tobytes()
    for name, written, back in (("ring", ring, read.ring), ("time", time_s, read.time_s)):
        assert (back is None) == (written is None), name
        assert back is None or np.array_equal(back, written)
    for name, written in (("class_id", class_ids), ("instance", instance_ids)):
        assert (name in records.dtype.names) == (written is not None)
        assert written is None or np.array_equal(records[name], written)


def test_the_layout_is_the_documented_one() -> None:
    cloud = PointCloud(np.ones((2, 4), np.float32), np.zeros(2, np.float32), np.zeros(2, np.uint16))
    message = encode_cloud(cloud, 1, "lidar", np.zeros(2, np.uint8), np.zeros(2, np.uint32))
    assert [(field.name, field.offset, field.datatype) for field in message.fields] == [
        ("x", 0, 7),
        ("y", 4, 7),
        ("z", 8, 7),
        ("intensity", 12, 7),
        ("ring", 16, 4),
        ("class_id", 18, 2),
        ("time", 20, 7),
        ("instance", 24, 6),
    ]


def test_points_are_read_without_a_copy() -> None:
    message = over_the_wire(encode_cloud(PointCloud(np.ones((1000, 4), np.float32)), 1, "lidar"))
    assert np.shares_memory(decode_cloud(message).points, message.data)


def test_a_strided_view_is_written_right() -> None:
    wide = np.arange(60, dtype=np.float32).reshape(10, 6)
    message = encode_cloud(PointCloud(wide[:, 1:5]), 1, "lidar")
    np.testing.assert_array_equal(decode_cloud(message).points, wide[:, 1:5])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("height", [1, 3])
@pytest.mark.parametrize("row_padding", [0, 5])
def test_other_layouts(order: str, height: int, row_padding: int) -> None:
    layout = [("intensity", "u1"), ("z", f"{order}f4"), ("t", f"{order}u4"), ("y", f"{order}f8"), ("x", f"{order}f4")]
    records = np.zeros(12, layout)
    for name in records.dtype.names:
        records[name] = np.random.default_rng(1).integers(0, 200, 12)
    if order == ">":
        # The message has one byte order for all of its fields.
        records.dtype = np.dtype([("z", ">f4"), ("intensity", "u1"), ("t", ">u4"), ("y", ">f8"), ("x", ">f4")])
    cloud = decode_cloud(over_the_wire(cloud_of(records, height, row_padding)))
    expected = np.stack([records[name].astype(np.float32) for name in ("x", "y", "z", "intensity")], axis=1)
    np.testing.assert_array_equal(cloud.points[:, :3], expected[:, :3])
    np.testing.assert_allclose(cloud.points[:, 3], expected[:, 3] / 255, rtol=1e-6)
    assert cloud.points.dtype == np.float32
    assert cloud.time_s is None


def test_a_missing_field_is_one_clear_error() -> None:
    records = np.zeros(3, [("x", "f4"), ("y", "f4"), ("z", "f4"), ("rgb", "f4")])
    with pytest.raises(BagError, match=r"lacks the fields intensity \(it has: x, y, z, rgb\)"):
        decode_cloud(cloud_of(records))


def test_a_cloud_that_contradicts_itself_is_an_error() -> None:
    message = cloud_of(np.zeros(3, [("x", "f4"), ("y", "f4"), ("z", "f4"), ("intensity", "f4")]))
    message.width = 4
    message.row_step = 64
    with pytest.raises(BagError, match="contradicts itself"):
        decode_cloud(message)
    message.point_step = 8
    with pytest.raises(BagError, match="contradicts itself"):
        decode_cloud(message)


def test_columns_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="4 values of ring for 3 points"):
        encode_cloud(PointCloud(np.ones((3, 4), np.float32), ring=np.zeros(4, np.uint16)), 1, "lidar")


def test_intensities_of_integers_are_read_as_a_node_reads_them() -> None:
    records = np.zeros(3, [("x", "f8"), ("y", "f8"), ("z", "f8"), ("intensity", "u1")])
    records["intensity"] = 0, 51, 255
    message = cloud_of(records)
    np.testing.assert_array_equal(decode_cloud(message).points, decode_point_cloud(message).cloud.points)
    np.testing.assert_allclose(decode_cloud(message).points[:, 3], [0, 0.2, 1], atol=1e-7)
