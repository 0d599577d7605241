"""What detectors cost beside each other: latency, arithmetic, weights and memory on one cloud, in one run.

    python benchmarks/detectors.py [BUNDLE ...] [--drawn CONFIGURATION ...] [--points 120000] [--repeats 20]
        [--threads 1] [--out out/bench]

BUNDLE is a folder or a name in config/models. CONFIGURATION is a file or a name in config/training; its network gets
drawn weights, which cost the same but find nothing: their maps hold hundreds of weak peaks, so that "boxes" takes the
most that it can. By default the networks of the street configurations are compared, drawn. Every round runs every
detector once, so that what else the machine does meets all of them. Writes out/bench/detectors.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from perception.bundle.format import WEIGHTS_FILE, DetectionDescription
from perception.bundle.loading import Bundle, load_bundle
from perception.data.clouds import find_clouds
from perception.evaluation.latency import summarize, summarize_stages
from perception.evaluation.machine import describe_machine
from perception.export.exporter import Source, export_network
from perception.export.sources import described
from perception.models.build import build_detector
from perception.ops import default_threads
from perception.paths import find_bundle
from perception.runtime.inspection import FrameCosts, measure_costs
from perception.runtime.native_detection import NativeDetectionEngine
from perception.training.command import load_configuration
from perception.training.detection.settings import DetectionSettings
from perception.types import Frame, PointCloud

DEMO = ("flatformer_street", "flatformer_lite_street", "pointpillars_street", "centerpoint_street")
STAGES = ("points", "maps", "network", "boxes")
MIB, MB = 1 << 20, 1_000_000


@dataclass
class Detector:
    """A detector on the bench.

    Attributes:
        bundle: what it is.
        engine: runs it.
        cloud: float32 [N, columns that it takes].
        costs: of the cloud.
        stages_ms: of every frame so far.
        totals_ms: the same, measured around the whole.
        processor_ms: of all threads, which tells a slow detector from a busy machine.
    """

    bundle: Bundle[Any]
    engine: NativeDetectionEngine
    cloud: NDArray[np.float32]
    costs: FrameCosts
    stages_ms: list[dict[str, float]] = field(default_factory=list)
    totals_ms: list[float] = field(default_factory=list)
    processor_ms: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Take the time of one frame."""
        start_s, start_processor_s = time.perf_counter(), time.process_time()
        self.stages_ms.append(self.engine.forward(Frame(PointCloud(self.cloud))).stage_ms)
        self.totals_ms.append((time.perf_counter() - start_s) * 1e3)
        self.processor_ms.append((time.process_time() - start_processor_s) * 1e3)

    def figures(self) -> dict[str, Any]:
        """Everything that was found."""
        by_name, memory = self.costs.multiplications, self.costs.memory
        dense = sum(count for name, count in by_name.items() if name.startswith("dense_"))
        counts = self.costs.runs[0]
        tensors = self.bundle.tensors.values()
        return {
            "total_ms": summarize(self.totals_ms).model_dump(),
            "processor_ms": summarize(self.processor_ms).model_dump(),
            "stage_ms": {name: found.model_dump() for name, found in summarize_stages(self.stages_ms).items()},
            "points": len(self.cloud),
            "cells": counts.get("voxels/1", counts.get("pillars", 0)),
            "encoder_gmac": (sum(by_name.values()) - dense) / 1e9,
            "dense_gmac": dense / 1e9,
            "parameters": sum(tensor.size for tensor in tensors if tensor.dtype.kind == "f"),
            "weights_bytes": (self.bundle.folder / WEIGHTS_FILE).stat().st_size,
            "memory_bytes": {**vars(memory), "total": memory.total},
            "measured": dict(self.bundle.description.measured),
        }


def write_drawn(configuration: str, folder: Path) -> Path:
    """Make a bundle of a training configuration's network with drawn weights."""
    settings = load_configuration(configuration)
    if not isinstance(settings, DetectionSettings):
        raise SystemExit(f"{configuration}: trains no detector")
    torch.manual_seed(0)
    network = build_detector(settings.network, len(settings.classes)).eval()
    values = described(settings) | {"name": f"{settings.name} drawn", "license": "none", "origin": "drawn weights"}
    export_network(Source(network, values, settings.half_weights), folder / settings.name)
    return folder / settings.name


def a_cloud(points: int, columns: int) -> NDArray[np.float32]:
    """As many points of a simulated sweep as wanted, in their order, with the columns that a detector takes."""
    (cloud,) = find_clouds(None, None, "hdl64e", 1)
    if len(cloud) < points:
        raise SystemExit(f"--points: the sweep has {len(cloud)}")
    chosen = np.sort(np.random.default_rng(0).permutation(len(cloud))[:points])
    wide = np.zeros((points, columns), np.float32)
    wide[:, : cloud.shape[1]] = cloud[chosen, :columns]
    return wide


@contextmanager
def opened(folders: Sequence[Path], points: int, threads: int) -> Iterator[list[Detector]]:
    """Load detectors and run each of them once."""
    detectors: list[Detector] = []
    for folder in folders:
        bundle = load_bundle(folder)
        if not isinstance(bundle.description, DetectionDescription):
            raise SystemExit(f"{folder}: is no detector")
        cloud = a_cloud(points, bundle.description.network.point_channels)
        engine = NativeDetectionEngine(bundle.folder, bundle.description, threads=threads)
        engine.warm_up(Frame(PointCloud(cloud)))
        detectors.append(Detector(bundle, engine, cloud, measure_costs(bundle, cloud, threads)))
    try:
        yield detectors
    finally:
        for detector in detectors:
            detector.engine.close()


def print_table(console: Console, result: dict[str, dict[str, Any]]) -> None:
    """Print a row a detector."""
    times = ("ms", "p95", "processor", *STAGES)
    table = Table("detector", *times, "cells", "encoder GMAC", "dense GMAC", "weights", "MB", "MiB", "mAP")
    for name, one in result.items():
        found = [one["total_ms"]["p50"], one["total_ms"]["p95"], one["processor_ms"]["p50"]]
        row = [f"{value:.1f}" for value in (*found, *(one["stage_ms"][stage]["p50"] for stage in STAGES))]
        row += [f"{one['cells']:,}", f"{one['encoder_gmac']:.2f}", f"{one['dense_gmac']:.2f}", f"{one['parameters']:,}"]
        row += [f"{one['weights_bytes'] / MB:.2f}", f"{one['memory_bytes']['total'] / MIB:.0f}"]
        table.add_row(name, *row, str(one["measured"].get("map", "")))
    console.print(table)


def main() -> None:
    """Measure, print, and write out/bench/detectors.json."""
    parser = argparse.ArgumentParser(description="What detectors cost beside each other.")
    parser.add_argument("bundles", nargs="*", metavar="BUNDLE")
    parser.add_argument("--drawn", nargs="*", default=[], metavar="CONFIGURATION")
    parser.add_argument("--points", type=int, default=120_000)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    arguments = parser.parse_args()
    console, drawn = Console(width=160), arguments.drawn or (() if arguments.bundles else DEMO)
    with tempfile.TemporaryDirectory() as made:
        folders = [find_bundle(bundle) for bundle in arguments.bundles]
        folders += [write_drawn(configuration, Path(made)) for configuration in drawn]
        with opened(folders, arguments.points, arguments.threads) as detectors:
            for _ in track(range(arguments.repeats), "timing", console=console, transient=True):
                for detector in detectors:
                    detector.run()
            result = {one.bundle.description.name: one.figures() for one in detectors}
    console.print(f"{arguments.points:,} points, {arguments.threads} threads, {arguments.repeats} rounds; medians")
    print_table(console, result)
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / "detectors.json"
    about = {"threads": arguments.threads, "machine": describe_machine().model_dump()}
    file.write_text(json.dumps({"detectors": result, **about}, indent=2) + "\n")
    print(f"written to {file}")


if __name__ == "__main__":
    main()
