"""What the demo says on the terminal, in few lines."""

from pathlib import Path

import pytest

from perception.bringup.demo.evaluation import RealScan, find_networks, real_scan
from perception.bringup.demo.settings import DemoSettings
from perception.bringup.demo.summary import summary_lines
from perception.configuration import ConfigurationError
from perception.evaluation.models import find_models
from perception.evaluation.records import FrameRecord, LabelsRecord, RecordWriter
from perception.evaluation.results import LatencySummary
from tests.evaluation.report.evaluations import results, segmentation

SETTINGS = DemoSettings(Path("out"), (1, 2), 10.0, "hdl64e", "spvcnn_street", "flatformer_street")
REPORT = Path("out/report.html")
LATENCY = LatencySummary(p50=101.25, p95=120.0, p99=130.0, max=140.0, count=3)


def measured(partial=False):
    made_up = results(70, partial)
    latency_ms = {"inference": LATENCY, "overhead": LATENCY, "total": LATENCY, "end_to_end": LATENCY}
    models = tuple(model.model_copy(update={"latency_ms": latency_ms}) for model in made_up.models)
    return made_up.model_copy(update={"models": models})


def lines_of(of_results, real=None):
    return dict(summary_lines(SETTINGS, of_results, REPORT, real))


def test_the_lines_that_matter_are_about_ten_and_hold_the_figures():
    lines = lines_of(measured())
    assert 8 <= len(lines) <= 11
    assert lines["accuracy"].startswith("[bold]mean IoU 0.817[/bold] over 3 classes, 95.1 %")
    assert lines["by class"] == "road 0.90, vegetation 0.80, car 0.75"
    assert lines["frames"] == "70 in, 60 out, 10 dropped (superseded 10)"
    assert "101.2 ms" in lines["latency"]
    assert lines["drives"] == "seeds 1, 2: hdl64e, 10 s each at 10 Hz, unseen in training"
    assert lines["report"] == "out/report.html"
    assert lines["figures"] == "out/metrics.json"


def test_a_detector_has_a_line():
    of_results = measured()
    line = "[bold]mAP 0.500[/bold] (car 0.62, pedestrian 0.38), detector <bundle>, median 101.2 ms, 60 of 70 frames"
    assert lines_of(of_results)["objects"] == line
    assert "objects" not in lines_of(of_results.model_copy(update={"models": of_results.models[:1]}))


@pytest.mark.parametrize(
    ("real", "text"),
    [
        (RealScan(123_389, 3, segmentation()), "123,389 points, [bold]mean IoU 0.817"),
        (RealScan(123_389, 3, None), "123,389 points, no labels to compare"),
        (RealScan(123_389, 0, None), "123,389 points, did not come out"),
    ],
)
def test_a_real_scan_has_a_line_with_or_without_labels(real, text):
    assert lines_of(measured(), real)["real scan"].startswith(text)


def test_nothing_measured_is_said_and_not_made_up():
    nothing = results(0, labeller={}, detector={})
    lines = lines_of(nothing)
    assert "not measured" in lines["latency"]
    assert lines["accuracy"] == "nothing to compare"
    assert lines["objects"].startswith("nothing to compare")


def test_an_interrupted_demo_says_so_first():
    assert next(iter(lines_of(measured(partial=True)))) == "partial"


def test_the_real_scan_is_judged_alone(tmp_path):
    (model,) = find_models(["spvcnn_street"])
    settings = DemoSettings(tmp_path, (1,), 1.0, "hdl64e", "spvcnn_street")
    confusions = {"spvcnn_street": ((0, 0, 3), (0, 1, 1)), "another": ((0, 1, 100),)}
    with RecordWriter(tmp_path / "frames" / "scan.jsonl") as writer:
        for index, (name, confusion) in enumerate(confusions.items()):
            labels = LabelsRecord(sha256="0" * 64, label_set="semantic_kitti", confusion={"0-20 m": confusion})
            record = FrameRecord(bag="scan", index=index, model=name, stamp_ns=0, points=4, labels=labels)
            writer.write(record)
        writer.write(FrameRecord(bag="scan", index=2, model=model.name, stamp_ns=0, points=4, dropped="superseded"))
    real = real_scan(settings, model, "scan")
    assert (real.points, real.out) == (4, 1)
    assert real.segmentation.iou == {"car": 0.75}


@pytest.mark.parametrize(
    ("bundle", "detector", "message"),
    [
        ("flatformer_street", "", "--bundle flatformer_street: this network is for detection"),
        ("spvcnn_street", "spvcnn_street", "--detector spvcnn_street: this network is for segmentation"),
        ("no_such_bundle", "", "no_such_bundle"),
    ],
)
def test_a_network_for_something_else_is_refused_in_one_line(bundle, detector, message):
    with pytest.raises(ConfigurationError, match=message) as error:
        find_networks(DemoSettings(Path("out"), (1,), 1.0, "hdl64e", bundle, detector))
    assert "\n" not in str(error.value)


def test_the_demo_can_do_without_a_detector():
    networks = find_networks(DemoSettings(Path("out"), (1,), 1.0, "hdl64e", "spvcnn_street", ""))
    assert [network.name for network in networks] == ["spvcnn_street"]
