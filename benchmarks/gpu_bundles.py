"""Run the shipped bundles on a GPU from points to labels, beside the CPU (a part of make gpu-check).

    python -m benchmarks.gpu_bundles RESULTS.json [--emulated]

Labels have to be those of the CPU but for one point in 200. Times are medians over frames of a made-up scan, after
warming up, which also chooses how each convolution is computed. Bundles with dense regions need TensorRT. What cannot
be tried on this machine is in the results, with the reason. `--emulated` runs a small scan once on the emulated GPU
with the tests' stand-in for the driver, to try this program out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP))

NEEDED = ("pydantic", "yaml", "safetensors")
SAME_LABELS = 0.995
FRAMES = 20


def pretend(cache: Path) -> None:
    """Let the emulated GPU be the first one of this machine, with little to choose from."""
    import itertools
    import os

    from perception.ops import tuning
    from perception.runtime.device import place
    from perception.runtime.device.device import Device
    from tests.runtime.device.host_driver import HostDriver

    candidates, gpu = tuning.candidates, Device(HostDriver())
    tuning.candidates = lambda channels: itertools.islice(candidates(channels), 1)
    place.open_device = lambda index=0: gpu
    os.environ["PERCEPTION_ENGINE_CACHE"] = str(cache)


def run_bundle(folder: Path, frame: Any, frames: int) -> dict[str, Any]:
    """Label a frame on both; compare and time."""
    from perception.runtime import load_engine
    from perception.runtime.device import place

    cpu = load_engine(folder, "cpu")
    expected = cpu.forward(frame)
    cpu.close()
    start_s = time.perf_counter()
    gpu = load_engine(folder, "cuda")
    loaded_s = time.perf_counter()
    gpu.warm_up(frame)
    warm_s = time.perf_counter()
    pool = place.open_device(0).pool
    pool.high_water_bytes = pool.used_bytes
    found = gpu.forward(frame)
    total_ms, stage_ms = [], []
    for _ in range(frames):
        begin_s = time.perf_counter()
        stage_ms.append(gpu.forward(frame).stage_ms)
        total_ms.append(1e3 * (time.perf_counter() - begin_s))
    gpu.close()
    same = float((found.class_ids == expected.class_ids).mean())
    return {
        "same_labels": same,
        "passed": same >= SAME_LABELS,
        "load_s": loaded_s - start_s,
        "warm_up_s": warm_s - loaded_s,
        "total_ms": statistics.median(total_ms),
        "slowest_ms": max(total_ms),
        "stage_ms": {name: statistics.median([one[name] for one in stage_ms]) for name in stage_ms[0]},
        "memory_mb": pool.high_water_bytes / 1e6,
    }


def run_all(emulated: bool) -> dict[str, Any]:
    """Try every shipped bundle."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        return {"note": f"not run: needs {', '.join(missing)}"}
    from benchmarks.gpu_operations import made_up_scan
    from perception.configuration import ConfigurationError
    from perception.runtime.device import open_device
    from perception.runtime.device.figures import read_figures
    from perception.types import Frame, PointCloud

    if not emulated:
        try:
            properties = open_device(0).properties
        except ConfigurationError as error:
            return {"note": f"not run: {error}"}
        figures = asdict(read_figures(0, properties.pci_bus_id))
    result: dict[str, Any] = (
        {"bundles": {}} if emulated else {"gpu": asdict(properties), "figures": figures, "bundles": {}}
    )
    points = made_up_scan(rings=8, steps=40) if emulated else made_up_scan(rings=64, steps=1900)
    for folder in sorted((TOP / "config" / "models").glob("*/graph.json")):
        try:
            found = run_bundle(folder.parent, Frame(PointCloud(points)), 1 if emulated else FRAMES)
        except ConfigurationError as error:
            found = {"note": f"not run: {error}", "passed": True}
        result["bundles"][folder.parent.name] = found
    return result


def main() -> int:
    """Write the results; 1 if labels differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--emulated", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        if arguments.emulated:
            pretend(Path(cache))
        result = run_all(arguments.emulated)
    arguments.results.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if all(found["passed"] for found in result.get("bundles", {}).values()) else 1


if __name__ == "__main__":
    sys.exit(main())
