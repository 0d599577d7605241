"""The report: complete, self-contained, and with the figures of metrics.json."""

import base64
import dataclasses
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from perception.evaluation.demo_results import DetectionResults, RealScanResults
from perception.evaluation.report.demo_writing import data_uri, render, write_report
from perception.evaluation.report.detection_pictures import DetectedScan
from perception.evaluation.report.panels import compose_sheet, draw_panels
from perception.evaluation.results import FrameCounts
from perception.types import Boxes3D
from tests.evaluation.report.page_structure import Structure


@pytest.fixture(scope="module")
def page(inputs):
    return render(inputs)


@pytest.fixture(scope="module")
def structure(page):
    return Structure.of(page)


def test_the_page_is_well_formed(page, structure):
    assert page.lstrip().startswith("<!doctype html>")
    assert structure.open == []


def test_the_page_needs_nothing_from_elsewhere(page, structure):
    assert structure.references
    assert all(reference.startswith("data:image/") for reference in structure.references)
    assert not re.search(r"url\(|@import|<script|<link|https?://", page)


def test_every_picture_is_described_and_whole(structure):
    assert len(structure.images) == 6  # truth, prediction and errors, twice
    for image in structure.images:
        assert image["alt"]
        Image.open(io.BytesIO(base64.b64decode(image["src"].split(",")[1]))).verify()


def test_the_page_shows_the_figures_of_metrics_json(inputs, tmp_path):
    report = write_report(tmp_path / "new" / "folder", inputs)
    metrics = json.loads((report.parent / "metrics.json").read_text())
    page = report.read_text()
    shown = [f"{value:.3f}" for value in metrics["segmentation"]["iou"].values()]
    shown += [f"{metrics['segmentation']['mean_iou']:.3f}"]
    shown += [f"{stage[key]:.2f}" for stage in metrics["latency_ms"].values() for key in ("p50", "p95", "p99")]
    shown += [f"dropped: {reason}" for reason in metrics["frames"]["dropped_by_reason"]]
    assert [figure for figure in shown if figure not in page] == []


def test_text_is_escaped(page):
    assert "Mind the &lt;gap&gt;." in page
    assert "drive &lt;1&gt;" in page


def test_a_scan_without_truth_is_drawn_alone(inputs, scan):
    without_truth = dataclasses.replace(scan, title="a real scan", truth=None)
    real = RealScanResults(file="scan.bin", points=len(scan.points), segmentation=None)
    results = inputs.results.model_copy(update={"real_scan": real})
    page = render(dataclasses.replace(inputs, results=results, real_scan=without_truth))
    structure = Structure()
    structure.feed(page)
    assert len(structure.images) == 8
    assert "scan.bin" in page


def test_nothing_labelled_still_makes_a_report(inputs):
    empty = inputs.results.segmentation.model_copy(
        update={"mean_iou": None, "accuracy": None, "iou": {}, "points": {}, "confusion": ((0,) * 4,) * 4, "frames": 0}
    )
    results = inputs.results.model_copy(update={"segmentation": empty, "latency_ms": {}})
    assert "n/a" in render(dataclasses.replace(inputs, results=results, scans=[], frame_stages_ms=[]))


def test_pictures_survive_as_data_uris():
    picture = np.random.default_rng(0).integers(0, 255, (9, 7, 3)).astype(np.uint8)
    decoded = Image.open(io.BytesIO(base64.b64decode(data_uri(picture).split(",")[1])))
    np.testing.assert_array_equal(np.asarray(decoded), picture)


def test_panels_say_how_many_points_are_wrong(scan):
    wrong = ((scan.truth != scan.predicted) & (scan.truth != 255)).sum() / (scan.truth != 255).sum()
    assert [panel.caption for panel in draw_panels(scan)] == [
        "Truth",
        "Predicted",
        f"Errors: {100 * wrong:.1f} % of points",
    ]


def test_the_legend_names_what_occurs(scan):
    assert [name for name, _ in scan.legend()] == ["road", "car", "tree", "not labelled"]


def test_the_sheet_holds_every_panel(scan):
    panels = draw_panels(scan)
    sheet = compose_sheet(scan, panels)
    assert sheet.width > 3 * panels[0].birds_eye.shape[1]
    assert sheet.height > panels[0].birds_eye.shape[0] + 3 * 100


def test_a_detector_has_a_section_with_its_figures_and_pictures(inputs):
    boxes = Boxes3D(
        *(np.ones((1, 3), np.float32),) * 2, np.zeros(1, np.float32), ("car",), np.ones(1, np.float32), np.zeros((1, 2))
    )
    scan = DetectedScan("drive <2>", inputs.scans[0].points, boxes, boxes, {"car": (1, 2, 3)})
    detection = DetectionResults(
        bundle="small detector",
        bundle_sha256="0" * 64,
        mean_average_precision=0.625,
        average_precision={"car": 0.75, "person": 0.5},
        objects={"car": 1234, "person": 5},
        range_m=50.0,
        least_points=5,
        latency_ms=inputs.results.latency_ms,
        frames=FrameCounts.accounted(20, 18, {"superseded": 2}),
    )
    results = inputs.results.model_copy(update={"detection": detection})
    page = render(
        dataclasses.replace(inputs, results=results, detections=[scan, dataclasses.replace(scan, truth=None)])
    )
    structure = Structure.of(page)
    assert structure.open == []
    assert all(reference.startswith("data:image/") for reference in structure.references)
    text = re.sub(r"<[^>]+>|\s+", " ", page)
    for words in (
        "small detector",
        "0.625",
        "0.750",
        "1,234",
        "18 of 20 clouds",
        "2 dropped (superseded)",
        "drive &lt;2&gt;",
    ):
        assert words in text
    assert len(structure.images) == len(Structure.of(render(inputs)).images) + 2


def test_without_a_detector_there_is_no_section(page):
    assert "<h2>Objects</h2>" not in page
