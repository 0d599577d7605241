"""Malformed and odd clouds over the wire: none ends the node, each is counted under its own reason."""

from __future__ import annotations

import array

import numpy as np
import pytest
from clouds import XYZI, columns_of, make_cloud, some_points
from diagnostic_msgs.msg import DiagnosticStatus
from processes import wait_until
from segmentation import FRAMES, NODE, connect, start_stub
from stub_node import PROBABILITY, expected_class_ids

pytestmark = pytest.mark.ros

POINTS = some_points(120)


def changed(cloud, **values):
    for name, value in values.items():
        setattr(cloud, name, value)
    return cloud


def with_field(cloud, index, **values):
    for name, value in values.items():
        setattr(cloud.fields[index], name, value)
    return cloud


def with_non_finite_rows():
    points = POINTS.copy()
    points[[3, 50, 119], [0, 1, 2]] = np.nan, np.inf, -np.inf
    return make_cloud(points)


def with_huge_coordinates():
    points = POINTS.copy()
    points[[1, 7], [0, 2]] = 3e38, -1e6
    return make_cloud(points)


def with_integer_intensity():
    points = POINTS.copy()
    points[:, 3] = np.floor(points[:, 3] * 255)
    return make_cloud(points, [(name, "u1" if name == "intensity" else "f4") for name, _ in XYZI])


#: reason -> clouds that give no result.
MALFORMED = {
    "missing_field": make_cloud(POINTS, XYZI[:3]),
    "truncated": changed(make_cloud(POINTS), data=array.array("B", bytes(119 * 16))),
    "field_outside_point": changed(make_cloud(POINTS), point_step=12),
    "no_point_step": changed(make_cloud(POINTS), point_step=0),
    "short_rows": changed(make_cloud(POINTS, height=4), row_step=100),
    "too_large": changed(make_cloud(POINTS), width=4_294_967_295, height=4_294_967_295),
    "unsupported_type": with_field(make_cloud(POINTS), 1, datatype=99),
}

#: kind -> clouds that are unusual, and labelled all the same.
ODD = {
    "non_finite": with_non_finite_rows(),
    "too_far": with_huge_coordinates(),
    "big_endian": make_cloud(POINTS, bigendian=True),
    "row_padding": make_cloud(POINTS, height=4, row_padding=9),
    "unordered_fields": make_cloud(POINTS, offsets=(8, 0, 4, 12)),
    "float64_coordinates": make_cloud(POINTS, [(name, "f8") for name, _ in XYZI]),
    "integer_coordinates": make_cloud(np.floor(POINTS), [(name, "i2") for name, _ in XYZI[:3]] + [XYZI[3]]),
    "integer_intensity": with_integer_intensity(),
    "empty": make_cloud(some_points(0)),
    "over_capacity": make_cloud(some_points(200)),
    "no_frame_id": make_cloud(POINTS, frame_id=""),
}

#: Layouts of real drivers that are nothing special.
ORDINARY = [
    make_cloud(POINTS),
    make_cloud(POINTS, (*XYZI, ("ring", "u2"), ("time", "f4"))),
    make_cloud(POINTS, offsets=(0, 4, 8, 16), point_step=48),
    make_cloud(POINTS, height=4),
    changed(make_cloud(POINTS), row_step=0),
]


def check(source, result):
    """Every input point has a row: same order, sane ones within capacity labelled, the others 255."""
    given, found = columns_of(changed_row_step(source)), columns_of(result)
    assert result.header == source.header
    assert (result.height, result.width) == (source.height, source.width)
    coordinates = np.stack([given[name].astype(np.float32) for name in "xyz"], 1)
    assert np.array_equal(np.stack([found[name] for name in "xyz"], 1), coordinates, equal_nan=True)
    # NaN compares as false too.
    labelled = (np.abs(coordinates) < 5_000).all(axis=1) & (np.arange(len(given)) < 150)
    expected = np.where(labelled, expected_class_ids(coordinates), 255)
    assert np.array_equal(found["class_id"], expected)
    assert np.array_equal(found["probability"], np.where(labelled, np.float32(PROBABILITY), 0))


def changed_row_step(cloud):
    """The same cloud without row padding, for `columns_of`."""
    packed = cloud.width * cloud.point_step
    if cloud.height == 1 or cloud.row_step == packed:
        return changed(cloud, row_step=packed)
    rows = np.frombuffer(bytes(cloud.data), np.uint8).reshape(cloud.height, cloud.row_step)[:, :packed]
    plain = make_cloud(POINTS, height=cloud.height)
    return changed(plain, row_step=packed, data=array.array("B", rows.tobytes()))


def test_odd_clouds_end_nothing_and_are_each_counted_under_their_own_reason(graph, tmp_path):
    with start_stub(tmp_path, max_points=150) as node:
        publisher, outputs = connect(graph)
        collector = outputs["segmentation"]
        usable = [*ODD.values(), *ORDINARY]
        for count, cloud in enumerate(usable, 1):
            publisher.publish(cloud)
            check(cloud, collector.wait_for(count)[-1])
        for reason, cloud in MALFORMED.items():
            publisher.publish(cloud)
            wait_until(lambda reason=reason: f"(malformed.{reason})" in node.output(), f"a warning: {reason}")
        graph.wait_for_diagnostic(FRAMES, "dropped", str(len(MALFORMED)))

        assert graph.diagnostic(FRAMES).level == DiagnosticStatus.ERROR
        values = graph.diagnostic_values(FRAMES)
        counted = {key: value for key, value in values.items() if key.startswith(("dropped.", "noted."))}
        expected = {f"dropped.malformed.{reason}": "1" for reason in MALFORMED} | {f"noted.{kind}": "1" for kind in ODD}
        assert counted == expected
        left_out = [values[f"points.{reason}"] for reason in ("non_finite", "too_far", "over_capacity")]
        assert left_out == ["3", "2", "50"]
        assert (values["in"], values["out"]) == (str(len(usable) + len(MALFORMED)), str(len(usable)))

        publisher.publish(make_cloud(POINTS))
        collector.wait_for(len(usable) + 1)
        graph.wait_for_diagnostic(FRAMES, "out", str(len(usable) + 1))
        assert graph.diagnostic(FRAMES).level == DiagnosticStatus.OK
        assert graph.state(NODE) == "active"
        assert node.stop() == 0


def test_the_missing_field_s_warning_prints_fields_found_and_needed(graph, tmp_path):
    with start_stub(tmp_path) as node:
        publisher, _ = connect(graph)
        publisher.publish(make_cloud(POINTS, (*XYZI[:3], ("reflectivity", "u2"))))
        sentence = "cloud lacks intensity (found: x, y, z, reflectivity; needed: x, y, z, intensity)"
        wait_until(lambda: sentence in node.output(), sentence)
        wait_until(lambda: sentence in graph.diagnostic(FRAMES).message, "the same on /diagnostics")
