"""Every cloud is accounted for, and the terminal says so in few lines."""

import pytest

from perception.bringup.demo.evaluate import PlayedDrive, frame_counts
from perception.bringup.demo.graph import Recording
from perception.bringup.demo.summary import summary_lines
from perception.evaluation.comparison import Comparison
from perception.evaluation.demo_results import (
    DetectionResults,
    EvaluationResults,
    RealScanResults,
    RunDescription,
    SegmentationResults,
)
from perception.evaluation.metrics.confusion import ConfusionMatrix
from perception.evaluation.results import FrameCounts, LatencySummary, MachineDescription
from perception.nodes.recorded import NodeCounts


@pytest.mark.parametrize(("published", "dropped", "settled"), [(5, 4, False), (6, 4, True), (0, 0, False)])
def test_a_node_is_settled_when_every_cloud_has_met_its_end(published, dropped, settled):
    assert NodeCounts(10, published, {"superseded": dropped}).is_settled is settled


def drive(tmp_path, published, labelled, wrong_length, dropped):
    comparison = Comparison(published=published, wrong_length=wrong_length)
    comparison.accuracies = dict.fromkeys(range(labelled), 1.0)
    return PlayedDrive("drive", tmp_path, Recording(published, {}, dropped), comparison)


def test_drives_add_up(tmp_path):
    drives = [drive(tmp_path, 10, 6, 1, {"superseded": 3}), drive(tmp_path, 5, 4, 0, {"lost_before_node": 1})]
    counts = frame_counts(drives)
    assert (counts.in_, counts.out, counts.dropped) == (15, 10, 5)
    assert counts.dropped_by_reason == {"superseded": 3, "wrong_length": 1, "lost_before_node": 1}


@pytest.fixture
def results():
    classes = tuple("abcdefg")
    matrix = ConfusionMatrix(len(classes))
    matrix._counts[range(7), range(7)] = range(1, 8)
    matrix._counts[0, 1] = 1
    segmentation = SegmentationResults.from_confusion(matrix, classes, 3)
    latency = LatencySummary(p50=101.25, p95=120.0, p99=130.0, max=140.0, count=3)
    return EvaluationResults(
        run=RunDescription(
            command="perception demo",
            created="2030-01-01",
            bundle="small",
            bundle_sha256="0" * 64,
            sensor="hdl64e",
            seeds=(1, 2),
            duration_s=10.0,
            rate_hz=10.0,
            machine=MachineDescription(
                cpu="chip", cores=2, memory_gib=4, system="Linux", ros_distro="kilted", rmw="rmw", versions={}
            ),
        ),
        segmentation=segmentation,
        latency_ms={"total": latency, "inference": latency, "overhead": latency},
        frames=FrameCounts(in_=20, out=3, dropped=17, dropped_by_reason={"superseded": 17}),
    )


def test_the_lines_that_matter_are_about_ten_and_hold_the_figures(results, tmp_path):
    lines = dict(summary_lines(results, tmp_path / "report.html"))
    assert 8 <= len(lines) <= 11
    assert f"{results.segmentation.mean_iou:.3f}" in lines["accuracy"]
    assert lines["frames"] == "20 in, 3 out, 17 dropped (superseded 17)"
    assert "101.2 ms" in lines["latency"]
    assert lines["report"].endswith("report.html")
    assert lines["figures"].endswith("metrics.json")


def test_a_real_scan_has_a_line_with_or_without_labels(results, tmp_path):
    for segmentation, text in ((results.segmentation, "mean IoU"), (None, "no labels to compare")):
        scan = RealScanResults(file="a.bin", points=123_389, segmentation=segmentation)
        lines = dict(summary_lines(results.model_copy(update={"real_scan": scan}), tmp_path / "report.html"))
        assert lines["real scan"].startswith("123,389 points")
        assert text in lines["real scan"]


def test_nothing_measured_is_said_and_not_made_up(results, tmp_path):
    lines = dict(summary_lines(results.model_copy(update={"latency_ms": {}}), tmp_path / "report.html"))
    assert "not measured" in lines["latency"]


def test_a_detector_has_a_line(results, tmp_path):
    detection = DetectionResults(
        bundle="boxes",
        bundle_sha256="0" * 64,
        mean_average_precision=0.625,
        average_precision={"person": 0.5, "car": 0.75},
        objects={"car": 1, "person": 1},
        range_m=50.0,
        least_points=5,
        latency_ms={"total": results.latency_ms["total"]},
        frames=FrameCounts.accounted(20, 18, {"superseded": 2}),
    )
    found = dict(summary_lines(results.model_copy(update={"detection": detection}), tmp_path / "report.html"))
    line = "[bold]mAP 0.625[/bold] (car 0.75, person 0.50), boxes, median 101.2 ms, 18 of 20 frames"
    assert found["objects"] == line
    assert "objects" not in dict(summary_lines(results, tmp_path / "report.html"))
