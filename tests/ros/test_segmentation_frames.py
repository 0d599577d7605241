"""Frames on their way through a real node process."""

from __future__ import annotations

import numpy as np
import pytest
from clouds import columns_of, make_cloud, some_points, stamped
from diagnostic_msgs.msg import DiagnosticStatus
from processes import wait_until
from rosgraph_msgs.msg import Clock
from segmentation import FRAMES, NODE, PROCESSING, STATE, connect, start_stub
from std_msgs.msg import Float64
from stub_node import expected_class_ids

from perception_interfaces.msg import FrameTimings

pytestmark = pytest.mark.ros

CLOUDS = ("segmentation", "visualization", "filtered")


def test_three_clouds_with_the_input_s_header(graph, tmp_path):
    points = some_points(500)
    with start_stub(tmp_path, filtered_classes="[high]"):
        publisher, outputs = connect(graph, CLOUDS)
        source = stamped(points, 1234)
        publisher.publish(source)
        results = {name: outputs[name].wait_for(1)[0] for name in CLOUDS}

    classes = expected_class_ids(points)
    assert all(cloud.header == source.header for cloud in results.values())
    assert np.array_equal(columns_of(results["segmentation"])["class_id"], classes)
    assert bytes(results["filtered"].data) == points[classes == 0].tobytes()
    colors = columns_of(results["visualization"])["rgb"].view(np.uint32)
    assert np.array_equal(colors, np.where(classes, 0x0000FF, 0xFF0000))


def test_timings_cover_every_stage_and_carry_the_input_s_header(graph, tmp_path):
    with start_stub(tmp_path):
        timings = graph.collect(FrameTimings, f"{NODE}/debug/timings")
        latencies = graph.collect(Float64, f"{NODE}/debug/pipeline_latency_ms")
        publisher, outputs = connect(graph)
        before_s = graph.node.get_clock().now().nanoseconds // 10**9 - 1
        wait_until(lambda: graph.node.count_publishers(f"{NODE}/debug/timings"), "timings")
        publisher.publish(stamped(some_points(), before_s))
        outputs["segmentation"].wait_for(1)
        frame = timings.wait_for(1)[0]

        assert frame.header == outputs["segmentation"].messages[0].header
        names = ["receive", "wait", "hand_over", "decode", "inference", "network.look", "encode", "publish"]
        assert [stage.name for stage in frame.stages] == names
        parts = sum(stage.duration_ms for stage in frame.stages if not stage.name.startswith("network."))
        assert frame.total_ms >= frame.inference_ms
        assert frame.total_ms >= parts - 0.01
        assert latencies.wait_for(1)[0].data > 0


def test_the_newest_cloud_wins_and_the_others_are_counted(graph, tmp_path):
    gate = tmp_path / "gate"
    with start_stub(tmp_path, bundle=f"gate:{gate}"):
        publisher, outputs = connect(graph)
        publisher.publish(stamped(some_points(), 1))
        graph.wait_for_diagnostic(FRAMES, "in", "1")
        for seconds in (2, 3, 4):
            publisher.publish(stamped(some_points(), seconds))
            graph.wait_for_diagnostic(FRAMES, "in", str(seconds))
        gate.touch()
        done = outputs["segmentation"].wait_for(2)
        assert [cloud.header.stamp.sec for cloud in done] == [1, 4]
        graph.wait_for_diagnostic(FRAMES, "out", "2")
        assert graph.diagnostic_values(FRAMES)["dropped.superseded"] == "2"


def test_late_frames_show_on_diagnostics(graph, tmp_path):
    gate = tmp_path / "gate"
    with start_stub(tmp_path, bundle=f"gate:{gate}", max_processing_time_ms=1.0, max_consecutive_delay_ms=0.0):
        publisher, outputs = connect(graph)
        publisher.publish(make_cloud(some_points()))
        graph.wait_for_diagnostic(FRAMES, "in", "1")
        gate.touch()
        outputs["segmentation"].wait_for(1)
        wait_until(lambda: graph.diagnostic(PROCESSING).level == DiagnosticStatus.ERROR, "ERROR: late")
        assert graph.diagnostic(PROCESSING).message.startswith("every frame late")


def test_without_a_subscriber_the_network_rests(graph, tmp_path):
    with start_stub(tmp_path, bundle="failing") as node:
        publisher, _ = connect(graph, ())
        publisher.publish(make_cloud(some_points()))
        graph.wait_for_diagnostic(FRAMES, "dropped.no_subscriber", "1")
        assert graph.diagnostic(FRAMES).level == DiagnosticStatus.OK
        assert "publishing" in graph.diagnostic_values(STATE)
        assert graph.set_parameter(NODE, "always_run", True).successful
        publisher.publish(make_cloud(some_points()))
        graph.wait_for_diagnostic(FRAMES, "dropped.processing_failed", "1")
        assert "RuntimeError: out of memory" in graph.diagnostic(FRAMES).message
        assert "Traceback" not in node.output()


def test_a_jump_back_in_time_resets_the_history(graph, tmp_path):
    with start_stub(tmp_path):
        publisher, outputs = connect(graph)
        for count, seconds in enumerate((100, 101, 102, 50, 51), 1):
            publisher.publish(stamped(some_points(), seconds))
            outputs["segmentation"].wait_for(count)
        graph.wait_for_diagnostic(FRAMES, "out", "5")
        assert graph.diagnostic_values(FRAMES)["time_jumps_back"] == "1"


def test_simulated_time_is_the_node_s_time_and_a_looped_bag_resets(graph, tmp_path):
    with start_stub(tmp_path, use_sim_time=True):
        publisher, outputs = connect(graph)
        latencies = graph.collect(Float64, f"{NODE}/debug/pipeline_latency_ms")
        clock = graph.publisher(Clock, "/clock")
        wait_until(lambda: graph.node.count_publishers(f"{NODE}/debug/pipeline_latency_ms"), "latencies")

        def at(seconds, stamp_s):
            message = Clock()
            message.clock.sec = seconds
            clock.publish(message)
            wait_until(lambda: graph.diagnostics_stamp_s(STATE) == seconds, f"{NODE} to see {seconds} s")
            publisher.publish(stamped(some_points(), stamp_s, 500_000_000))

        at(1000, 999)
        assert latencies.wait_for(1)[0].data == pytest.approx(500, abs=0.01)
        at(10, 9)
        assert latencies.wait_for(2)[1].data == pytest.approx(500, abs=0.01)
        outputs["segmentation"].wait_for(2)
        graph.wait_for_diagnostic(FRAMES, "out", "2")
        assert int(graph.diagnostic_values(FRAMES)["time_jumps_back"]) >= 1


def test_parameters_change_at_run_time(graph, tmp_path):
    points = some_points(50)
    with start_stub(tmp_path):
        publisher, outputs = connect(graph, ("segmentation", "filtered"))
        publisher.publish(make_cloud(points))
        assert outputs["filtered"].wait_for(1)[0].width == 50
        assert graph.set_parameter(NODE, "max_points", 20).successful
        assert graph.set_parameter(NODE, "filtered_classes", ["low", "high"]).successful
        publisher.publish(make_cloud(points))
        # The 30 points over capacity belong to no class, so no class takes them away.
        assert outputs["filtered"].wait_for(2)[1].width == 30
        assert not graph.set_parameter(NODE, "max_points", 0).successful
        assert not graph.set_parameter(NODE, "palette", "rainbow").successful
        assert not graph.set_parameter(NODE, "autostart", False).successful


def test_the_real_scan_has_a_label_for_every_point(graph, tmp_path, semantic_kitti_scan):
    points = np.fromfile(semantic_kitti_scan, np.float32).reshape(-1, 4)
    with start_stub(tmp_path):
        publisher, outputs = connect(graph)
        source = stamped(points, 77)
        source.header.frame_id = "velodyne"
        publisher.publish(source)
        cloud = outputs["segmentation"].wait_for(1)[0]

    columns = columns_of(cloud)
    assert cloud.header == source.header
    assert len(columns) == cloud.width == 123_389
    assert np.array_equal(columns["class_id"], expected_class_ids(points))
    assert np.array_equal(columns["x"], points[:, 0])
