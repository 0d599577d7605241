"""Decoding PointCloud2 in every layout that drivers send."""

from __future__ import annotations

import array

import numpy as np
import pytest
from clouds import XYZI, make_cloud, some_points
from hypothesis import given, settings
from hypothesis import strategies as st

from perception.data.point_clouds import CloudSettings, decode_point_cloud
from perception.data.point_layout import CloudError
from perception.types import LabelledCloud

XYZIRT_PACKED = (*XYZI, ("ring", "u2"), ("time", "f4"))
XYZIRC = (("x", "f4"), ("y", "f4"), ("z", "f4"), ("intensity", "u1"), ("return_type", "u1"), ("channel", "u2"))


@pytest.mark.parametrize(
    "cloud",
    [
        make_cloud(some_points()),
        make_cloud(some_points(), point_step=48),
        make_cloud(some_points(), XYZIRT_PACKED),
        make_cloud(some_points(), height=4),
        make_cloud(some_points(), (("ring", "u2"), *XYZI), offsets=(0, 4, 8, 12, 16), point_step=32),
    ],
    ids=["xyzi", "gap", "xyzirt", "organised", "field before x"],
)
def test_no_copy_where_the_layout_allows(cloud):
    decoded = decode_point_cloud(cloud)

    assert np.array_equal(decoded.cloud.points, some_points())
    assert np.shares_memory(decoded.cloud.points, np.frombuffer(cloud.data, np.uint8))
    assert not decoded.cloud.points.flags.writeable
    assert decoded.oddities == ()


@pytest.mark.parametrize(
    ("cloud", "oddity"),
    [
        (make_cloud(some_points(), bigendian=True), "big_endian"),
        (make_cloud(some_points(), height=4, row_padding=7), "row_padding"),
        (make_cloud(some_points(), offsets=(8, 4, 0, 12)), "unordered_fields"),
        (make_cloud(some_points(), [(n, "f8") for n, _ in XYZI]), "float64_coordinates"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_layouts_are_converted_and_noted(cloud, oddity):
    decoded = decode_point_cloud(cloud)

    assert np.array_equal(decoded.cloud.points, some_points())
    assert decoded.cloud.points.dtype == np.float32
    assert decoded.oddities == (oddity,)


def test_pcl_layout_with_padding_after_z():
    cloud = make_cloud(some_points(), offsets=(0, 4, 8, 16), point_step=32)

    assert np.array_equal(decode_point_cloud(cloud).cloud.points, some_points())


@pytest.mark.parametrize(("kind", "largest"), [("u1", 255), ("u2", 65535)])
def test_integer_intensity_is_brought_to_one(kind, largest):
    points = some_points()
    points[:, 3] = np.linspace(0, largest, len(points)).astype(int)
    fields = [(n, kind if n == "intensity" else "f4") for n, _ in XYZI]

    decoded = decode_point_cloud(make_cloud(points, fields))

    assert decoded.oddities == ("integer_intensity",)
    np.testing.assert_allclose(decoded.cloud.points[:, 3], points[:, 3] / largest, rtol=1e-6)
    scaled = decode_point_cloud(make_cloud(points, fields), CloudSettings(intensity_scale=0.5))
    np.testing.assert_allclose(scaled.cloud.points[:, 3], points[:, 3] * 0.5, rtol=1e-6)


def test_scale_applies_to_float_intensity():
    decoded = decode_point_cloud(make_cloud(some_points()), CloudSettings(intensity_scale=1 / 255))

    np.testing.assert_allclose(decoded.cloud.points[:, 3], some_points()[:, 3] / 255, rtol=1e-6)


def test_vendor_layout_xyzirc():
    points = some_points()
    points[:, 3] = 51

    decoded = decode_point_cloud(make_cloud(points, XYZIRC))

    assert np.array_equal(decoded.cloud.points[:, :3], points[:, :3])
    np.testing.assert_allclose(decoded.cloud.points[:, 3], 0.2, rtol=1e-6)


def test_missing_intensity_names_what_was_found_and_needed():
    with pytest.raises(CloudError, match=r"lacks intensity \(found: x, y, z; needed: x, y, z, intensity\)") as caught:
        decode_point_cloud(make_cloud(some_points(), XYZI[:3]))
    assert caught.value.reason == "missing_field"


def test_missing_intensity_may_be_a_constant():
    decoded = decode_point_cloud(make_cloud(some_points(), XYZI[:3]), CloudSettings(intensity_if_missing=0.25))

    assert np.all(decoded.cloud.points[:, 3] == 0.25)
    assert decoded.oddities == ("no_intensity",)


def test_non_finite_rows_are_set_aside_and_spread_back():
    points = some_points(6)
    points[1, 0], points[3, 2], points[4, 3] = np.nan, np.inf, np.nan

    decoded = decode_point_cloud(make_cloud(points))
    spread = decoded.spread(LabelledCloud(np.array([7, 8, 9], np.uint8), np.array([0.7, 0.8, 0.9], np.float32)))

    assert np.array_equal(decoded.cloud.points, points[[0, 2, 5]])
    assert decoded.non_finite == 3
    assert decoded.oddities == ("non_finite",)
    assert spread.class_ids.tolist() == [7, 255, 8, 255, 255, 9]
    np.testing.assert_array_equal(spread.probabilities, np.float32([0.7, 0, 0.8, 0, 0, 0.9]))
    assert np.array_equal(decoded.coordinates, points[:, :3], equal_nan=True)


def test_points_where_no_lidar_sees_are_set_aside():
    points = some_points(4)
    points[1, 0], points[2, 2] = 3e38, -5_001

    decoded = decode_point_cloud(make_cloud(points))

    assert np.array_equal(decoded.cloud.points, points[[0, 3]])
    assert (decoded.too_far, decoded.non_finite, decoded.oddities) == (2, 0, ("too_far",))


def test_float64_beyond_float32_counts_as_non_finite():
    columns = {name: np.ones(3) for name, _ in XYZI}
    columns["x"] = np.array([1.0, 1e300, 2.0])

    decoded = decode_point_cloud(make_cloud(columns, [(n, "f8") for n, _ in XYZI]))

    assert decoded.non_finite == 1
    assert len(decoded.cloud) == 2


def test_points_over_capacity_are_left_out_in_order():
    decoded = decode_point_cloud(make_cloud(some_points(10)), CloudSettings(max_points=4))

    assert np.array_equal(decoded.cloud.points, some_points(10)[:4])
    assert decoded.over_capacity == 6
    assert decoded.oddities == ("over_capacity",)
    assert decoded.used is not None
    assert decoded.used.tolist() == [True] * 4 + [False] * 6


@pytest.mark.parametrize("fields", [XYZI, ()], ids=["with fields", "without fields"])
def test_empty_cloud(fields):
    cloud = make_cloud(some_points(0)) if fields else type(make_cloud(some_points(0)))()

    decoded = decode_point_cloud(cloud)

    assert decoded.cloud.points.shape == (0, 4)
    assert decoded.oddities[0] == "empty"


def _with(change, **options):
    cloud = make_cloud(some_points(), **options)
    change(cloud)
    return cloud


def _set(**values):
    def change(cloud):
        for name, value in values.items():
            setattr(cloud, name, value)

    return change


def _set_field(index, **values):
    def change(cloud):
        for name, value in values.items():
            setattr(cloud.fields[index], name, value)

    return change


@pytest.mark.parametrize(
    ("cloud", "reason"),
    [
        (_with(lambda c: setattr(c, "data", c.data[:-1])), "truncated"),
        (_with(_set(data=array.array("B"))), "truncated"),
        (_with(_set(width=101)), "truncated"),
        (_with(_set(point_step=15)), "field_outside_point"),
        (_with(_set(point_step=0)), "no_point_step"),
        (_with(_set_field(2, offset=4_000_000_000)), "field_outside_point"),
        (_with(_set(row_step=10), height=4), "short_rows"),
        (_with(_set(width=4_000_000_000)), "too_large"),
        (_with(_set(width=4_294_967_295, height=4_294_967_295)), "too_large"),
        (_with(_set(row_step=4_294_967_295), height=4), "too_large"),
        (_with(_set_field(0, datatype=0)), "unsupported_type"),
        (_with(_set_field(3, datatype=77)), "unsupported_type"),
        (_with(_set_field(1, count=2)), "unsupported_type"),
        (_with(_set_field(0, name="X")), "missing_field"),
        (_with(_set(fields=[])), "missing_field"),
    ],
)
def test_unusable_clouds_say_why(cloud, reason):
    with pytest.raises(CloudError) as caught:
        decode_point_cloud(cloud)
    assert caught.value.reason == reason
    assert "\n" not in str(caught.value)


def test_oddities_that_drivers_get_away_with():
    assert len(decode_point_cloud(_with(_set(row_step=0))).cloud) == 100
    assert len(decode_point_cloud(_with(lambda c: c.data.extend(b"tail"))).cloud) == 100
    assert len(decode_point_cloud(_with(_set_field(0, count=0))).cloud) == 100
    extra = make_cloud(some_points(), (*XYZI, ("descriptor", "f4")))
    extra.fields[4].count = 33
    assert len(decode_point_cloud(extra).cloud) == 100


numbers = st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1))


@settings(max_examples=300, deadline=None)
@given(
    sizes=st.tuples(numbers, numbers, numbers, numbers),
    fields=st.lists(st.tuples(st.sampled_from("xyzi"), numbers, st.integers(0, 255), numbers), max_size=6),
    data=st.binary(max_size=200),
    bigendian=st.booleans(),
)
def test_no_message_reads_outside_its_data_or_raises_anything_else(sizes, fields, data, bigendian):
    cloud = make_cloud(some_points(4))
    cloud.height, cloud.width, cloud.point_step, cloud.row_step = sizes
    cloud.data = array.array("B", data)
    cloud.is_bigendian = bigendian
    for field, (name, offset, datatype, count) in zip(cloud.fields, fields, strict=False):
        field.name = {"i": "intensity"}.get(name, name)
        field.offset, field.datatype, field.count = offset, datatype, count
    try:
        decoded = decode_point_cloud(cloud)
    except CloudError:
        return
    assert len(decoded.coordinates) == sizes[0] * sizes[1]
    assert np.isfinite(decoded.cloud.points).all()


def test_the_real_scan_is_not_copied(semantic_kitti_scan):
    points = np.fromfile(semantic_kitti_scan, np.float32).reshape(-1, 4)
    cloud = make_cloud(points)

    decoded = decode_point_cloud(cloud)

    assert len(decoded.cloud) == 123_389
    assert np.shares_memory(decoded.cloud.points, np.frombuffer(cloud.data, np.uint8))
