"""`perception demo` from end to end: a very short drive of a small sensor through the real graph."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import jsonschema
import pytest

from perception.evaluation.demo_results import SCHEMA_FILE
from perception.paths import find_bundle

pytestmark = [pytest.mark.ros, pytest.mark.slow]
TIMEOUT_S = 240
#: The sensor turns 20 times a second.
FRAMES = 12
DRIVE = ("--seeds", "3", "--duration-s", "0.6", "--sensor", "nuscenes32")


def start_demo(*words, **streams):
    return subprocess.Popen(
        [sys.executable, "-m", "perception.cli", "demo", *map(str, words)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        **streams,
    )


def demo(*words):
    process = start_demo(*words, stderr=subprocess.PIPE)
    stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def wait_until(condition, what, timeout_s):
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {timeout_s} s in vain for {what}"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def finished(out):
    ended = demo("--out", out, *DRIVE)
    assert ended.returncode == 0, ended.stderr
    return ended


@pytest.fixture(scope="module")
def metrics(finished, out):
    return json.loads((out / "metrics.json").read_text())


def test_the_terminal_shows_the_lines_that_matter_and_no_more(finished, out, metrics):
    assert finished.stderr == ""
    lines = [line for line in finished.stdout.splitlines() if line.strip()]
    assert len(lines) <= 16
    assert f"mean IoU {metrics['segmentation']['mean_iou']:.3f}" in finished.stdout
    assert f"mAP {metrics['detection']['mean_average_precision']:.3f}" in finished.stdout
    assert str(out / "report.html") in finished.stdout


def test_every_frame_of_the_drive_is_accounted_for(metrics):
    jsonschema.validate(metrics, json.loads(SCHEMA_FILE.read_text()))
    frames = metrics["frames"]
    assert frames["in"] == FRAMES
    assert frames["out"] == metrics["segmentation"]["frames"] >= 1
    assert frames["out"] + sum(frames["dropped_by_reason"].values()) == FRAMES


def test_every_frame_of_the_detector_is_accounted_for(metrics):
    detection = metrics["detection"]
    frames = detection["frames"]
    assert detection["bundle"] == "flatformer_street"
    assert frames["in"] == FRAMES
    assert frames["out"] >= 1
    assert frames["out"] + sum(frames["dropped_by_reason"].values()) == FRAMES
    assert sum(detection["objects"].values()) > 0
    assert detection["average_precision"].keys() == detection["objects"].keys()


@pytest.mark.parametrize("task", ["segmentation", "detection"])
def test_every_frame_that_came_out_was_timed(metrics, task):
    part = metrics if task == "segmentation" else metrics["detection"]
    counts = {stage: summary["count"] for stage, summary in part["latency_ms"].items()}
    assert {"decode", "inference", "publish", "overhead", "total"} <= set(counts)
    assert counts["total"] == part["frames"]["out"]


def test_the_report_has_pictures(finished, out):
    assert (out / "report.html").read_text().count("data:image/webp") == 7
    for name in ("drive_1", "objects_1"):
        assert (out / "pictures" / f"{name}.png").stat().st_size > 10_000


def test_no_process_of_the_graph_is_left(finished, out):
    for task in ("segmentation", "detection"):
        assert "stopped (exit code 0)" in (out / "logs" / f"bringup_{task}.log").read_text()


def test_a_second_run_reuses_the_drive_and_labels_a_real_scan(finished, out, semantic_kitti_scan):
    [bag] = (out / "drives").glob("nuscenes32_*")
    made_ns = max(file.stat().st_mtime_ns for file in bag.iterdir())
    ended = demo(
        "--out", out, *DRIVE, "--scan", semantic_kitti_scan, "--labels", semantic_kitti_scan.with_suffix(".label")
    )
    assert ended.returncode == 0, ended.stderr
    assert max(file.stat().st_mtime_ns for file in bag.iterdir()) == made_ns
    real = json.loads((out / "metrics.json").read_text())["real_scan"]
    assert (real["file"], real["points"]) == ("000000.bin", 123_389)
    assert 0 <= real["segmentation"]["mean_iou"] <= 1


def test_a_graph_that_fails_is_quoted_and_the_demo_fails(finished, out, tmp_path):
    bundle = tmp_path / "broken"
    shutil.copytree(find_bundle("spvcnn_street"), bundle)
    text = (bundle / "bundle.yaml").read_text()
    # The weights are whole but belong to another network: only the node finds that out.
    (bundle / "bundle.yaml").write_text(text.replace("input_channels: 4", "input_channels: 5"))
    ended = demo("--out", out, *DRIVE, "--bundle", bundle)
    assert ended.returncode == 1
    assert "perception demo: /perception/segmentation: cannot configure" in ended.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_demo_that_is_ended_ends_its_graph(finished, out, number, code):
    log = out / "logs" / "bringup_segmentation.log"
    log.unlink()
    process = start_demo("--out", out, *DRIVE, stderr=subprocess.PIPE)
    wait_until(lambda: log.exists() and "started container" in log.read_text(), "the graph to start", 60)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in stderr
    assert "container stopped" in log.read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--bundle", "nothing"), "no bundle 'nothing'"),
        (("--detector", "nothing"), "no bundle 'nothing'"),
        (("--detector", "spvcnn_street"), "this network is for segmentation; name one for detection"),
        (("--sensor", "nothing"), "nothing"),
        (("--scan", "missing.bin"), "missing.bin"),
    ],
)
def test_what_the_user_can_mend_is_one_line(finished, out, words, message):
    ended = demo("--out", out, *DRIVE, *words)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
