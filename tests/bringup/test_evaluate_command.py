"""`perception evaluate` on a small simulated drive, with the networks that are shipped."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import numpy as np
import psutil
import pytest

from perception.cli import main
from perception.data.bags import drive_summary, write_drive
from perception.data.recorded_drive import RecordedDrive
from perception.data.simulation.drive import simulate_drive
from perception.evaluation.records import labels_sha256, read_records
from perception.evaluation.results import json_schema
from perception.runtime import start_engine
from perception.types import Frame, PointCloud

MODELS = ("spvcnn_street", "flatformer_street")
FRAMES = 3


@pytest.fixture(scope="module")
def bag(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("bags") / "street"
    write_drive(path, simulate_drive(seed=5, sensor="nuscenes32", frames=FRAMES))
    return path


@pytest.fixture(scope="module")
def evaluated(bag, tmp_path_factory) -> Path:
    """An evaluation of the same bag twice."""
    out = tmp_path_factory.mktemp("evaluation")
    assert main(["evaluate", str(bag), str(bag), "--models", *MODELS, "--out", str(out), "--workers", "2"]) == 0
    return out


def test_metrics_report_and_records(evaluated):
    metrics = json.loads((evaluated / "metrics.json").read_text())
    jsonschema.validate(metrics, json_schema())
    assert [bag["name"] for bag in metrics["run"]["bags"]] == ["street", "street_2"]
    assert [model["name"] for model in metrics["models"]] == list(MODELS)
    labels, objects = metrics["models"]
    assert labels["frames"] == objects["frames"] == {
        "in": 2 * FRAMES, "out": 2 * FRAMES, "dropped": 0, "dropped_by_reason": {}
    }  # fmt: skip
    assert labels["segmentation"]["mean_iou"] > 0.2
    assert objects["detection"]["frames"] == 2 * FRAMES
    assert {"decode", "inference", "network.voxelize", "total"} <= set(labels["latency_ms"])
    assert labels["resources"]["cpu_percent"]["mean"] > 0
    assert "<html" in (evaluated / "report.html").read_text()


def test_the_same_frames_give_the_same_records_and_those_of_the_library(bag, evaluated):
    first, second = (
        [record for record in read_records([evaluated / "frames" / f"{name}.jsonl"]) if record.model == MODELS[0]]
        for name in ("street", "street_2")
    )
    assert [record.labels for record in first] == [record.labels for record in second]

    engine = start_engine("spvcnn_street", threads=1)
    for record, moment in zip(first, RecordedDrive(bag).frames(), strict=True):
        points = np.ascontiguousarray(moment.frame.cloud.points)
        result = engine.forward(Frame(PointCloud(points), moment.frame.stamp_ns))
        assert record.labels.sha256 == labels_sha256(result.class_ids)
    engine.close()


@pytest.mark.parametrize(("condition", "code"), [("mIoU < 0.2", 0), ("mIoU < 0.99", 1)])
def test_conditions(bag, tmp_path, capsys, condition, code):
    words = ["--models", "other=spvcnn_street", "--limit", "1", "--workers", "1", "--fail-if", condition]
    assert main(["evaluate", str(bag), "--out", str(tmp_path), *words]) == code
    assert ("mIoU" in capsys.readouterr().err) == bool(code)
    assert (tmp_path / "frames" / "street.jsonl").read_text().count("\n") == 1


def test_which_objects_count(bag, tmp_path):
    words = ["--models", "flatformer_street", "--limit", "1", "--workers", "1", "--out", str(tmp_path)]
    objects = []
    for criteria in ([], ["--range-m", "25", "--least-points", "30"]):
        assert main(["evaluate", str(bag), *words, *criteria]) == 0
        detection = json.loads((tmp_path / "metrics.json").read_text())["models"][0]["detection"]
        objects.append(sum(figures["objects"] for figures in detection["by_class"].values()))
    assert (detection["range_m"], detection["least_points"]) == (25, 30)
    assert objects[0] > objects[1] > 0


def test_more_bags_than_files_may_be_open_at_first(bag, tmp_path):
    words = ["evaluate", *[str(bag)] * 30, "--models", "spvcnn_street", "--limit", "1", "--workers", "1"]
    ended = subprocess.run(
        [sys.executable, "-m", "perception.cli", *words, "--out", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 1024)),
    )
    assert ended.returncode == 0, ended.stdout
    assert len(list(tmp_path.glob("frames/*.jsonl"))) == 30


def test_results_as_bags(bag, tmp_path):
    words = ["--models", *MODELS, "--out", str(tmp_path), "--workers", "1", "--limit", "2", "--write-bags"]
    for _ in range(2):  # a second run takes the place of the first
        assert main(["evaluate", str(bag), str(bag), *words]) == 0

    for name in ("street", "street_2"):
        counts = drive_summary(tmp_path / "bags" / name).topics
        assert counts["/points"] == counts["/spvcnn_street/output/pointcloud/segmentation"] == 2
        assert counts["/flatformer_street/output/objects"] == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere", "--models", "spvcnn_street"], "nowhere"),
        (["BAG", "--models", "spvcnn"], "no bundle 'spvcnn'"),
        (["BAG", "--models", "spvcnn_street", "--fail-if", "mIoU"], "mIoU"),
        (["BAG", "--models", "spvcnn_street", "--points-topic", "/lidar"], "/points"),
        (["BAG", "--models", "spvcnn_street", "--online", "--ray"], "--ray"),
    ],
)
def test_mistakes_are_one_sentence(bag, tmp_path, capsys, words, sentence):
    words = [str(bag) if word == "BAG" else word for word in words]
    assert main(["evaluate", *words, "--out", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert told.count("\n") == 1


@pytest.fixture
def running(bag, tmp_path):
    """An evaluation that would take long, when its first records are written; with its workers."""
    words = [str(bag)] * 100 + ["--models", "spvcnn_street", "--out", str(tmp_path), "--workers", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "perception.cli", "evaluate", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    records, deadline_s = tmp_path / "frames" / "street.jsonl", time.monotonic() + 60
    while not (records.exists() and records.read_text().count("\n") == FRAMES):
        assert time.monotonic() < deadline_s
        assert process.poll() is None
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    yield process, children
    process.kill()
    process.communicate()
    for child in psutil.wait_procs(children, timeout=5)[1]:
        child.kill()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_leaves_a_partial_report_and_no_process(running, tmp_path, number, code):
    process, children = running
    # As a terminal or systemd does: to all processes.
    for child in (*children, process):
        child.send_signal(number)
    told, _ = process.communicate(timeout=60)

    assert process.returncode == code, told
    assert "Traceback" not in told
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    jsonschema.validate(metrics, json_schema())
    assert metrics["run"]["partial"]
    records = list(read_records(tmp_path.glob("frames/*.jsonl")))
    assert metrics["models"][0]["frames"]["in"] == metrics["models"][0]["frames"]["out"] == len(records)
    assert FRAMES <= len(records) < 100 * FRAMES
    assert "interrupted" in (tmp_path / "report.html").read_text()
    assert not psutil.wait_procs(children, timeout=10)[1]


def test_workers_end_with_the_process_that_asks(running, tmp_path):
    process, children = running
    process.kill()
    assert not psutil.wait_procs(children, timeout=10)[1]
    assert list(read_records(tmp_path.glob("frames/*.jsonl")))
