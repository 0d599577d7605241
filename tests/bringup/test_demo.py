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

from perception.evaluation.results import SCHEMA_FILE
from perception.paths import find_bundle

pytestmark = [pytest.mark.ros, pytest.mark.slow]
TIMEOUT_S = 240
#: The sensor turns 20 times a second.
FRAMES = 12
LABELLER, DETECTOR = "spvcnn_street", "flatformer_street"
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


def network(metrics, name):
    return next(model for model in metrics["models"] if model["name"] == name)


def test_the_terminal_shows_the_lines_that_matter_and_no_more(finished, out, metrics):
    assert finished.stderr == ""
    lines = [line for line in finished.stdout.splitlines() if line.strip()]
    assert len(lines) <= 24  # with one every five seconds about how far it is
    assert f"mean IoU {network(metrics, LABELLER)['segmentation']['mean_iou']:.3f}" in finished.stdout
    assert f"mAP {network(metrics, DETECTOR)['detection']['mean_average_precision']:.3f}" in finished.stdout
    assert str(out / "report.html") in finished.stdout


@pytest.mark.parametrize(("name", "task"), [(LABELLER, "segmentation"), (DETECTOR, "detection")])
def test_every_frame_of_the_drive_is_accounted_for(metrics, name, task):
    jsonschema.validate(metrics, json.loads(SCHEMA_FILE.read_text()))
    model = network(metrics, name)
    frames = model["frames"]
    assert frames["in"] == FRAMES
    assert frames["out"] == model[task]["frames"] >= 1
    assert frames["out"] + sum(frames["dropped_by_reason"].values()) == FRAMES


def test_objects_of_the_drive_are_counted(metrics):
    by_class = network(metrics, DETECTOR)["detection"]["by_class"]
    assert sum(figures["objects"] for figures in by_class.values()) > 0


@pytest.mark.parametrize("name", [LABELLER, DETECTOR])
def test_every_frame_that_came_out_was_timed(metrics, name):
    model = network(metrics, name)
    counts = {stage: summary["count"] for stage, summary in model["latency_ms"].items()}
    assert {"decode", "inference", "publish", "overhead", "total", "end_to_end"} <= set(counts)
    assert counts["total"] == counts["end_to_end"] == model["frames"]["out"]
    assert model["resources"]["cpu_percent"]["max"] > 0


def test_the_report_has_pictures(finished, out):
    # The drive is over before a second moment begins: truth, prediction and errors of one frame, and its boxes.
    assert (out / "report.html").read_text().count("data:image/webp") == 4
    for name in (LABELLER, DETECTOR):
        [picture] = (out / "pictures").glob(f"{name}_01_*.png")
        assert picture.stat().st_size > 10_000


def test_no_process_of_the_graph_is_left(finished, out):
    for task in ("segmentation", "detection"):
        assert "stopped (exit code 0)" in (out / "logs" / task / "bringup.log").read_text()


def test_a_second_run_reuses_the_drive_and_labels_a_real_scan(finished, out, semantic_kitti_scan):
    [bag] = (out / "drives").glob("nuscenes32_*")
    made_ns = max(file.stat().st_mtime_ns for file in bag.iterdir())
    labels = semantic_kitti_scan.with_suffix(".label")
    ended = demo("--out", out, *DRIVE, "--detector", "", "--scan", semantic_kitti_scan, "--labels", labels)
    assert ended.returncode == 0, ended.stderr
    assert max(file.stat().st_mtime_ns for file in bag.iterdir()) == made_ns
    assert "123,389 points, mean IoU 0." in ended.stdout
    metrics = json.loads((out / "metrics.json").read_text())
    assert [run["name"] for run in metrics["run"]["bags"]] == [bag.name, "scan_000000"]
    assert network(metrics, LABELLER)["frames"]["in"] == FRAMES + 3
    assert "scan_000000" in (out / "report.html").read_text()


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
    log = out / "logs" / "segmentation" / "bringup.log"
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
