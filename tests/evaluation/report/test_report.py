"""The report: complete, self-contained, and with the figures of metrics.json."""

import base64
import io
import json
import re

import pytest
from PIL import Image

from perception.configuration import ConfigurationError
from perception.evaluation.report import writing
from perception.evaluation.report.worst_frames import WorstFrames
from perception.evaluation.report.writing import embedded_frames, write_report
from tests.evaluation.report.evaluations import (
    NETWORKS,
    outcome,
    record,
    results,
    segmentation,
    worst_frames,
    write_records,
)
from tests.evaluation.report.page_structure import Structure

FRAMES = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    write_report(folder, results(FRAMES), worst_frames(FRAMES), [write_records(folder, FRAMES)])
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return (folder / "report.html").read_text()


@pytest.fixture(scope="module")
def structure(page):
    return Structure.of(page)


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def write_empty(folder, of_results, bags=()):
    report = write_report(folder, of_results, WorstFrames(NETWORKS), bags)
    assert Structure.of(report.read_text()).open == []
    return text_of(report.read_text())


def test_the_page_is_well_formed(page, structure):
    assert page.lstrip().startswith("<!doctype html>")
    assert structure.open == []


def test_the_page_needs_nothing_from_elsewhere(page, structure, folder):
    elsewhere = [reference for reference in structure.references if not reference.startswith(("data:image/", "#"))]
    assert set(elsewhere) == {"metrics.json", "frames", "pictures"}
    assert all((folder / name).exists() for name in elsewhere)
    assert not re.search(r"url\(|@import|<script|<link|https?://", page)


def test_every_picture_is_described_and_whole(structure):
    # Four seconds hold two moments: three panels of the labels, one of the boxes.
    assert len(structure.images) == 2 * (3 + 1)
    for image in structure.images:
        assert image["alt"]
        Image.open(io.BytesIO(base64.b64decode(image["src"].split(",")[1]))).verify()


def test_every_picture_is_also_a_file(folder):
    names = sorted(path.name for path in (folder / "pictures").iterdir())
    assert names == [
        "detector_01_drive_1_39.png",
        "detector_02_drive_1_19.png",
        "labeller_01_drive_1_39.png",
        "labeller_02_drive_1_19.png",
    ]


def test_pictures_of_an_earlier_run_are_replaced(tmp_path):
    (tmp_path / "pictures").mkdir()
    for name in ("detector_01_drive_1_29.png", "mine.png"):
        (tmp_path / "pictures" / name).write_bytes(b"")
    write_empty(tmp_path, results())
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["mine.png"]


def test_the_page_shows_the_figures_of_metrics_json(page, folder):
    metrics = json.loads((folder / "metrics.json").read_text())
    labeller, detector = metrics["models"]
    detection = detector["detection"]
    scores = [*labeller["segmentation"]["iou"].values(), labeller["segmentation"]["mean_iou"]]
    scores += [detection["mean_average_precision"], detection["nuscenes_detection_score"]]
    scores += [value for value in detection["errors"].values() if value is not None]
    scores += [figures["average_precision"] for figures in detection["by_class"].values()]
    scores += detection["by_class"]["car"]["average_precision_at_m"].values()
    scores += [value for value in detection["kitti"]["car"]["3d"].values() if value is not None]
    scores += [band["mean_iou"] for band in labeller["segmentation"]["by_distance"].values()]
    shown = [f"{score:.3f}" for score in scores]
    for model in metrics["models"]:
        shown += [f"{stage[key]:.2f}" for stage in model["latency_ms"].values() for key in ("p50", "p95", "p99", "max")]
        shown += [f"dropped: {reason}" for reason in model["frames"]["dropped_by_reason"]]
        shown += [f"{model['resources']['memory_mib']['max']:.0f} MiB", f"{model['rate_hz']:.1f} Hz"]
    shown += [metrics["run"]["bags"][0]["losses"][0], metrics["run"]["command"], "made-up cpu"]
    assert [figure for figure in shown if figure not in page] == []


def test_text_is_escaped(page):
    for text in ("Mind the &lt;gap&gt;.", "drive &lt;1&gt;", "labeller &lt;bundle&gt;"):
        assert text in page


def test_a_drop_is_explained(page):
    assert "a newer cloud came while the network was still busy" in page


def test_only_an_interrupted_run_says_that_it_is_partial(page, tmp_path):
    assert "Partial:" not in page
    assert "Partial:" in write_empty(tmp_path, results(partial=True))


def test_without_truth_only_speed_is_shown_and_the_slowest_frames(tmp_path):
    worst = WorstFrames(NETWORKS)
    for network in NETWORKS:
        for index in range(5):
            of_frame = outcome(network, index, truth=False)
            worst.add(of_frame, record(of_frame))
    report = write_report(tmp_path, results(5, labeller={}, detector={}), worst, [])
    text = text_of(report.read_text())
    assert text.count("only its speed is known") == text.count("The slowest frames") == 2
    assert "mean IoU" not in text
    assert len(Structure.of(report.read_text()).images) == 2


def test_nothing_compared_still_makes_a_report(tmp_path):
    nothing = {"mean_iou": None, "accuracy": None, "iou": {}, "points": {}, "confusion": ((0,) * 19,) * 19, "frames": 0}
    labels = segmentation().model_copy(update=nothing | {"by_distance": {}})
    text = write_empty(tmp_path, results(labeller={"segmentation": labels}))
    assert "there is nothing to compare with" in text


def test_a_run_without_a_frame_still_makes_a_report(tmp_path):
    text = write_empty(tmp_path, results(0, labeller={}, detector={}))
    assert "there is nothing to time" in text


def test_bags_are_compared_where_there_are_several(tmp_path, page):
    assert "By bag" not in page
    paths = []
    for number, bag in enumerate(("one", "two")):
        folder = tmp_path / bag
        folder.mkdir()
        path = write_records(folder, 10, bag=bag, quality=0.25 + number / 2)
        paths.append(path)
    text = write_empty(tmp_path, results(20), paths)
    assert "one 10 1 25.0 %" in text
    assert "two 10 1 0.750" in text


def test_a_broken_record_is_named(tmp_path):
    (tmp_path / "broken.jsonl").write_text("{}\n")
    with pytest.raises(ConfigurationError, match=r"broken\.jsonl:1"):
        write_report(tmp_path, results(), WorstFrames(NETWORKS), [tmp_path / "broken.jsonl"])


@pytest.mark.parametrize(("networks", "frames"), [(0, 40), (1, 40), (4, 10), (7, 5), (100, 1)])
def test_the_more_networks_the_fewer_frames_each_shows(networks, frames):
    assert embedded_frames(networks) == frames


def test_frames_that_the_page_has_no_room_for_are_files_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "MOST_EMBEDDED", 2)
    report = write_report(tmp_path, results(FRAMES), worst_frames(FRAMES), [write_records(tmp_path, FRAMES)])
    assert len(Structure.of(report.read_text()).images) == 3 + 1
    assert len(list((tmp_path / "pictures").iterdir())) == 4


def test_a_page_of_many_frames_stays_small(tmp_path):
    path = write_records(tmp_path, 3000)
    report = write_report(tmp_path, results(3000), WorstFrames(NETWORKS), [path])
    assert report.stat().st_size < 1_500_000
    assert "each column is the mean of 6" in report.read_text()
