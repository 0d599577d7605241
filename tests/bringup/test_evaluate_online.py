"""`perception evaluate --online` from end to end: the real nodes, a very short bag."""

import json
import os
import signal
import subprocess
import sys
import time

import jsonschema
import psutil
import pytest

from perception.evaluation.records import read_records
from perception.evaluation.results import SCHEMA_FILE

pytestmark = [pytest.mark.ros, pytest.mark.slow]
FRAMES = 6
START_TIMEOUT_S, END_TIMEOUT_S = 120, 120


def start_evaluation(bag, out, *words):
    command = [sys.executable, "-m", "perception.cli", "evaluate", bag, "--online", "--out", out, *words]
    # As in a shell of a person: Ctrl-C is not ignored.
    return subprocess.Popen(
        [*map(str, command), "--models", "spvcnn_street"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def wait_until(condition, what, timeout_s=START_TIMEOUT_S):
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {timeout_s} s in vain for {what}"
        time.sleep(0.05)


def published(out):
    trace = out / "logs" / "replay_trace.csv"
    return len(trace.read_text().splitlines()) if trace.exists() else 0


def ended(process):
    """What an evaluation and all that it has started leave behind."""
    family = psutil.Process(process.pid).children(recursive=True)
    stdout, stderr = process.communicate(timeout=END_TIMEOUT_S)
    _, alive = psutil.wait_procs(family, timeout=1)
    assert alive == []
    return stdout, stderr


def test_every_frame_is_judged_or_dropped_for_a_reason(short_bag, tmp_path):
    process = start_evaluation(short_bag, tmp_path, "--rate", "0.1", "--limit", FRAMES - 1)
    stdout, stderr = process.communicate(timeout=START_TIMEOUT_S + END_TIMEOUT_S)
    assert (process.returncode, stderr) == (0, "")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    jsonschema.validate(metrics, json.loads(SCHEMA_FILE.read_text()))
    (model,) = metrics["models"]
    assert (metrics["run"]["mode"], metrics["run"]["rate"], metrics["run"]["partial"]) == ("online", 0.1, False)
    assert model["frames"]["in"] == FRAMES - 1
    assert model["frames"]["out"] >= 1
    assert model["latency_ms"]["end_to_end"]["count"] == model["frames"]["out"]
    assert model["latency_ms"]["end_to_end"]["p50"] > model["latency_ms"]["inference"]["p50"]
    assert model["segmentation"]["frames"] == model["frames"]["out"]
    assert model["resources"]["memory_mib"]["max"] > 10
    records = list(read_records([tmp_path / "frames" / "drive.jsonl"]))
    assert [record.index for record in records] == list(range(FRAMES - 1))
    assert "report.html" in stdout


def test_ctrl_c_leaves_a_report_of_what_came_out_and_no_process(short_bag, tmp_path):
    process = start_evaluation(short_bag, tmp_path, "--rate", "0.01")
    wait_until(lambda: published(tmp_path) >= 2, "the second cloud")
    process.send_signal(signal.SIGINT)
    _, stderr = ended(process)
    assert process.returncode == 128 + signal.SIGINT
    assert "Traceback" not in stderr
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    jsonschema.validate(metrics, json.loads(SCHEMA_FILE.read_text()))
    assert metrics["run"]["partial"]
    assert 2 <= metrics["models"][0]["frames"]["in"] < FRAMES
    assert metrics["models"][0]["frames"]["out"] >= 1
    assert "interrupted" in (tmp_path / "report.html").read_text()


def test_a_node_that_dies_is_told_in_a_sentence(short_bag, tmp_path):
    process = start_evaluation(short_bag, tmp_path, "--rate", "0.01")
    wait_until(lambda: published(tmp_path), "the first cloud")
    family = psutil.Process(process.pid).children(recursive=True)
    (container,) = [one for one in family if "perception.nodes.container" in one.cmdline()]
    container.kill()
    _, stderr = ended(process)
    assert process.returncode == 2
    assert "a process of the graph died: container: down (killed by SIGKILL" in stderr
    assert len(stderr.splitlines()) == 1
