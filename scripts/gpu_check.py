"""Build the kernels for the GPU that is present, test them there, run whole networks, and time every operation.

    python scripts/gpu_check.py [--output FOLDER]        (make gpu-check)

Needs nvcc, CMake, PyTorch with CUDA, NumPy, pytest and hypothesis; no network, no set-up of this project, no ROS 2.
Ends within nine minutes: each step has a limit, and what a step leaves unfinished is in the result. Writes
gpu_check.json and gpu_check.md into FOLDER (by default $OUT, else out/gpu_check); the exit status is 0 where everything
passed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[1]
BUILD = TOP / "build" / "gpu"
LIBRARY = BUILD / "libperception_kernels.so"
MODEL_CASES = ["scan", "sort", "collectives", "matrix_product", "half_precision", "empty_grid", "too_many_threads"]
LIMITS_S = {"build": 220, "tests": 180, "sanitizer": 90, "timings": 90, "bundles": 90}
# One command on a lent machine may last ten minutes; the results have to be written before.
WHOLE_S = 520
BEGIN_S = time.monotonic()

Result = dict[str, Any]


def run(command: list[str], limit_s: float) -> tuple[int, str]:
    """Run a tool with the library of the GPU; its exit status (-1: the limit was reached) and output."""
    environment = os.environ | {
        "PERCEPTION_KERNELS_LIBRARY": str(LIBRARY),
        "PERCEPTION_KERNELS_POISON": "1",
        "PYTHONPATH": f"{TOP / 'src' / 'perception'}{os.pathsep}{TOP}",
    }
    limit_s = min(limit_s, WHOLE_S - (time.monotonic() - BEGIN_S))
    if limit_s < 1:
        return -1, "no time was left for this step"
    try:
        done = subprocess.run(command, cwd=TOP, env=environment, capture_output=True, text=True, timeout=limit_s)
    except subprocess.TimeoutExpired as expired:
        output = expired.stdout or b""
        return -1, (output.decode(errors="replace") if isinstance(output, bytes) else output)
    return done.returncode, done.stdout + done.stderr


def build() -> Result:
    """Compile for the GPU that is present."""
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    options = ["-DPERCEPTION_KERNELS_CUDA=ON", "-DCMAKE_DISABLE_FIND_PACKAGE_ament_cmake=ON"]
    status, output = run(["cmake", "-S", "kernels", "-B", str(BUILD), *generator, *options], 60)
    if status == 0:
        jobs = str(os.cpu_count() or 1)
        command = ["cmake", "--build", str(BUILD), "--parallel", jobs, "--target", "all", "execution_model"]
        status, output = run(command, LIMITS_S["build"])
    return {"passed": status == 0, "output": "" if status == 0 else output[-4000:]}


def check_execution_model() -> Result:
    """What all kernels rely on: scan, sort, collectives, tensor cores, half precision."""
    status, output = run([str(BUILD / "execution_model"), *MODEL_CASES], 30)
    return {"passed": status == 0, "output": output[-2000:]}


def run_tests() -> Result:
    """Every operation against its reference, with fresh random inputs and poisoned outputs."""
    report = BUILD / "tests.xml"
    report.unlink(missing_ok=True)
    options = ["--device", "cuda", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", "--maxfail=200"]
    tests = ["tests/ops", "tests/kernels", "tests/nn/test_backends.py"]
    if importlib.util.find_spec("pydantic"):  # without it the runtime cannot be imported
        tests.append("tests/runtime/device/test_drivers.py")
    status, output = run([sys.executable, "-m", "pytest", *tests, *options], LIMITS_S["tests"])
    result: Result = {"passed": status == 0, "finished": status != -1, "output": output[-6000:]}
    if report.is_file():
        suite = ElementTree.parse(report).getroot().find("testsuite")  # noqa: S314 - pytest wrote it a moment ago
        assert suite is not None
        result |= {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
        result["failed"] = [
            f"{case.get('classname')}::{case.get('name')}"
            for case in suite.iter("testcase")
            if case.find("failure") is not None or case.find("error") is not None
        ]
    return result


def run_sanitizer() -> Result:
    """The smallest tests of every operation under compute-sanitizer."""
    tool = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path="/usr/local/cuda/bin")
    if tool is None:
        return {"passed": True, "note": "not run: no compute-sanitizer here"}
    checked = [tool, "--tool", "memcheck", "--error-exitcode", "9", "--target-processes", "all"]
    status, output = run([*checked, str(BUILD / "execution_model"), *MODEL_CASES[:-1]], 30)
    pytest = [sys.executable, "-m", "pytest", "tests/ops", "--device", "cuda", "-q", "-x", "-p", "no:cacheprovider"]
    smallest = ["-m", "not large", "-k", "one or empty or sanitizer"]
    tests_status, tests_output = run([*checked, *pytest, *smallest], LIMITS_S["sanitizer"])
    found = [line for line in (output + tests_output).splitlines() if line.startswith("========= ")]
    good = status == 0 and tests_status in (0, -1) and not any("Invalid" in line for line in found)
    return {"passed": good, "finished": tests_status != -1, "output": "\n".join(found[-30:]) + tests_output[-1500:]}


def time_operations() -> Result:
    """Times by CUDA events, beside what memory and arithmetic of this GPU allow."""
    output_file = BUILD / "timings.json"
    output_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.gpu_operations", str(output_file)]
    status, output = run(command, LIMITS_S["timings"])
    result: Result = {"passed": status == 0, "finished": status != -1, "output": "" if status == 0 else output[-4000:]}
    return result | (json.loads(output_file.read_text()) if output_file.is_file() else {})


def run_bundles() -> Result:
    """Whole networks from points to labels, with the labels of the CPU and times by CUDA events."""
    output_file = BUILD / "bundles.json"
    output_file.unlink(missing_ok=True)
    status, output = run([sys.executable, "-m", "benchmarks.gpu_bundles", str(output_file)], LIMITS_S["bundles"])
    result: Result = {"passed": status == 0, "finished": status != -1, "output": "" if status == 0 else output[-4000:]}
    return result | (json.loads(output_file.read_text()) if output_file.is_file() else {})


def describe_machine() -> Result:
    """GPU, driver, compilers."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,compute_cap", "--format=csv,noheader"]
    torch = [sys.executable, "-c", "import torch; print(torch.__version__)"]
    commands = {"gpu": query, "nvcc": ["nvcc", "--version"], "torch": torch}
    found = {}
    for name, command in commands.items():
        try:
            found[name] = (
                subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL).strip().splitlines()[-1]
            )
        except (OSError, subprocess.CalledProcessError, IndexError):
            found[name] = "not found"
    return found


def table(result: Result) -> str:
    """Render the result for a reader."""
    lines = ["# Kernels on a GPU", "", f"{result['machine']['gpu']}; {result['machine']['nvcc']}", ""]
    for name in ("build", "execution_model", "tests", "bundles", "sanitizer", "timings"):
        step = result.get(name, {})
        counts = f": {step['tests']} tests, {step['failures'] + step['errors']} failed" if "tests" in step else ""
        note = f" ({step['note']})" if "note" in step else ""
        lines.append(f"- {name}: {'passed' if step.get('passed') else 'FAILED'}{counts}{note}")
    for name, found in result.get("bundles", {}).get("bundles", {}).items():
        text = (
            found.get("note") or f"{found['total_ms']:.2f} ms a frame, {100 * found['same_labels']:.2f} % equal labels"
        )
        lines.append(f"  - {name}: {text}")
    rows = result.get("timings", {}).get("operations", [])
    if rows:
        lines += ["", "| operation | time us | floor us | floor / time |", "| --- | ---: | ---: | ---: |"]
    lines += [
        f"| {row['name']} | {row['time_us']:.1f} | {row['floor_us']:.1f} | {row['fraction']:.2f} |" for row in rows
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the steps in order; a step that fails does not keep the later ones from running, if it can be helped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("OUT", TOP / "out" / "gpu_check"))
    parser.add_argument("--output", type=Path, default=default)
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    result: Result = {"machine": describe_machine()}
    if result["machine"]["gpu"] == "not found":
        sys.exit("gpu-check: no NVIDIA GPU was found (nvidia-smi); make test-cuda runs the same sources on the CPU")
    steps = {
        "build": build,
        "execution_model": check_execution_model,
        "tests": run_tests,
        "bundles": run_bundles,
        "timings": time_operations,
        "sanitizer": run_sanitizer,
    }
    for name, step in steps.items():
        start_s = time.monotonic()
        built = name == "build" or result["build"]["passed"]
        found = step() if built else {"passed": False, "output": "not built"}
        result[name] = found | {"seconds": round(time.monotonic() - start_s, 1)}
        print(f"gpu-check: {name}: {'passed' if found['passed'] else 'FAILED'}", flush=True)
        (folder / "gpu_check.json").write_text(json.dumps(result, indent=1) + "\n")
    (folder / "gpu_check.md").write_text(table(result))
    print(table(result))
    for name in steps:
        if not result[name]["passed"]:
            print(f"--- {name}\n{result[name]['output']}", file=sys.stderr)
    sys.exit(0 if all(result[name]["passed"] for name in steps) else 1)


if __name__ == "__main__":
    main()
