"""Clouds on their way through a real detection node process."""

from __future__ import annotations

import math

import numpy as np
import pytest
from clouds import XYZI, make_cloud, some_points, stamped
from detection import (
    FRAMES,
    NODE,
    STATE,
    UNDER_TEST,
    check_well_formed,
    class_of,
    classes_of,
    connect,
    place_of,
    start_stub,
)
from diagnostic_msgs.msg import DiagnosticStatus
from processes import wait_until
from visualization_msgs.msg import Marker

from perception_interfaces.msg import FrameTimings
from tests.runtime.fake_detector import LAMP, LAMP_SCORE, SCORE

pytestmark = pytest.mark.ros

CLASSES = ("car", "lamp")


def test_objects_and_markers_with_the_input_s_header(graph, tmp_path):
    points = some_points(500)
    with start_stub(tmp_path):
        publisher, outputs = connect(graph, ("objects", "markers"))
        source = stamped(points, 1234)
        publisher.publish(source)
        objects, markers = (outputs[name].wait_for(1)[0] for name in ("objects", "markers"))

    check_well_formed(objects, source, CLASSES)
    car, lamp = objects.detections
    assert (class_of(car), class_of(lamp)) == ("car", "lamp")
    assert [one.results[0].hypothesis.score for one in (car, lamp)] == pytest.approx([SCORE, LAMP_SCORE])
    np.testing.assert_allclose(place_of(car), points[:, :3].mean(axis=0), atol=1e-4)
    assert place_of(lamp) == LAMP
    assert 2 * math.atan2(car.bbox.center.orientation.z, car.bbox.center.orientation.w) == pytest.approx(0.5)
    assert car.bbox.size.x == 500
    boxes = [marker for marker in markers.markers if marker.type == Marker.CUBE]
    assert [(box.color.r, box.color.g, box.color.b) for box in boxes] == [(1, 0, 0), (0, 0, 1)]
    assert all(marker.header == source.header for marker in markers.markers)
    assert (boxes[0].lifetime.sec, boxes[0].lifetime.nanosec) == (0, 500_000_000)


def test_every_stage_is_timed(graph, tmp_path):
    with start_stub(tmp_path, bundle="sweeps2"):
        timings = graph.collect(FrameTimings, f"{NODE}/debug/timings")
        publisher, outputs = connect(graph)
        wait_until(lambda: graph.node.count_publishers(f"{NODE}/debug/timings"), "timings")
        publisher.publish(stamped(some_points(), 5))
        outputs["objects"].wait_for(1)
        frame = timings.wait_for(1)[0]
    names = ["receive", "wait", "hand_over", "decode", "sweeps", "inference", "network.look", "encode", "publish"]
    assert [stage.name for stage in frame.stages] == names


def with_nan_rows():
    points = some_points(100)
    points[::2, 1] = np.nan
    return points


@pytest.mark.parametrize(
    ("points", "used"),
    [(some_points(0), 0), (some_points(3), 3), (some_points(300_000), 300_000), (with_nan_rows(), 50)],
    ids=["empty", "3", "300000", "nan"],
)
@pytest.mark.parametrize("bundle", ["stub", "sweeps3"])
def test_clouds_of_any_size(graph, tmp_path, bundle, points, used):
    with start_stub(tmp_path, bundle=bundle):
        publisher, outputs = connect(graph)
        source = stamped(points, 7)
        publisher.publish(source)
        objects = outputs["objects"].wait_for(1)[0]
        graph.wait_for_diagnostic(FRAMES, "out", "1")
        assert graph.diagnostic_values(FRAMES)["dropped"] == "0"
        assert graph.diagnostic(FRAMES).level == DiagnosticStatus.OK
    check_well_formed(objects, source, CLASSES)
    assert [one.bbox.size.x for one in objects.detections[:1]] == ([used] if used else [])
    assert len(objects.detections) == (2 if used else 0)


def test_boxes_that_no_object_has_are_left_out_and_counted(graph, tmp_path):
    with start_stub(tmp_path, bundle="unsound"):
        publisher, outputs = connect(graph)
        source = stamped(some_points(), 7)
        publisher.publish(source)
        objects = outputs["objects"].wait_for(1)[0]
        graph.wait_for_diagnostic(FRAMES, "objects.unsound", "3")
        assert graph.diagnostic_values(FRAMES)["objects"] == "2"
    check_well_formed(objects, source, CLASSES)
    assert classes_of(objects) == ["car", "lamp"]


def test_a_network_s_further_fields_come_from_the_cloud(graph, tmp_path):
    points = some_points(100)
    columns = {name: points[:, index] for index, (name, _) in enumerate(XYZI)}
    elongation = np.linspace(1, 3, 100, dtype=np.float32)
    elongation[0] = np.nan
    with start_stub(tmp_path, bundle="elongation") as node:
        publisher, outputs = connect(graph)
        publisher.publish(make_cloud({**columns, "elongation": elongation}, (*XYZI, ("elongation", "f4"))))
        car = outputs["objects"].wait_for(1)[0].detections[0]
        assert car.bbox.size.x == 99
        assert car.bbox.size.z == pytest.approx(elongation[1:].mean())
        publisher.publish(make_cloud(points))
        sentence = "cloud lacks elongation (found: x, y, z, intensity; needed: elongation)"
        wait_until(lambda: sentence in graph.diagnostic(FRAMES).message, sentence)
        assert node.is_running()


def test_a_frame_on_which_the_network_fails_is_counted_and_the_node_lives_on(graph, tmp_path):
    with start_stub(tmp_path, bundle="failing") as node:
        publisher, _ = connect(graph)
        publisher.publish(stamped(some_points(), 7))
        graph.wait_for_diagnostic(FRAMES, "dropped.processing_failed", "1")
        assert "RuntimeError: out of memory" in graph.diagnostic(FRAMES).message
        assert graph.state(NODE) == "active"
        assert "Traceback" not in node.output()
        assert node.stop(timeout_s=30) == 0


def test_what_is_called_truth_is_never_read(graph, tmp_path):
    """The node hears clouds and nothing else: boxes of the truth beside them change nothing, and nobody takes them."""
    with start_stub(tmp_path, bundle="sweeps3"):
        publisher, outputs = connect(graph)
        publisher.publish(stamped(some_points(seed=1), 7))
        outputs["objects"].wait_for(1)
        truth = graph.publisher(type(outputs["objects"].messages[0]), "/ground_truth/objects", subscribers=0)
        labels = graph.publisher(type(make_cloud(some_points())), "/ground_truth/points", subscribers=0)
        for count, seconds in ((2, 20), (3, 30)):
            truth.publish(outputs["objects"].messages[0])
            labels.publish(stamped(some_points(seed=9), seconds))
            publisher.publish(stamped(some_points(seed=1), seconds))
            # A cloud that came at once would take the place of the one before.
            outputs["objects"].wait_for(count)
        first, second, third = outputs["objects"].messages
        heard = {name for name, _ in graph.node.get_subscriber_names_and_types_by_node(NODE.strip("/"), "/")}
        assert heard <= {UNDER_TEST.input, "/tf", "/tf_static", "/clock", "/parameter_events"}
        assert truth.get_subscription_count() == labels.get_subscription_count() == 0
    for other in (second, third):
        boxes = [[one.bbox for one in message.detections] for message in (first, other)]
        assert boxes[0] == boxes[1]


def test_without_a_subscriber_the_network_rests(graph, tmp_path):
    with start_stub(tmp_path, bundle="failing"):
        publisher, _ = connect(graph, ())
        publisher.publish(make_cloud(some_points()))
        graph.wait_for_diagnostic(FRAMES, "dropped.no_subscriber", "1")
        assert graph.diagnostic_values(STATE)["publishing"] == "nothing: no subscriber"
