"""What make gpu-check times is tried on the emulated GPU: no minute on a real one should be spent on mistakes."""

import json
import subprocess
import sys

import pytest


def test_every_operation_runs(device, tmp_path, top):
    if device.kind != "emulated":
        pytest.skip("runs where the emulated GPU is (make test-cuda)")
    results = tmp_path / "timings.json"
    command = [sys.executable, "-m", "benchmarks.gpu_operations", results, "--device", "emulated", "--fast"]
    done = subprocess.run(command, cwd=top, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    timings = json.loads(results.read_text())
    assert len(timings["operations"]) > 40
    assert all(row["floor_us"] > 0 for row in timings["operations"])
