"""What labelling a cloud costs, stage by stage, and how good the labels are.

    python benchmarks/segmentation.py [--bundle spvcnn_street] [--repeats 20] [--out out/bench]

Sweeps of simulated HDL-64E drives whose seeds training never saw, and the real SemanticKITTI scan where ../shared holds
it. Takes about a minute, and wants an idle machine. Writes out/bench/segmentation.json: for each source the points,
voxels and milliseconds a stage (p50, p95, p99), and the IoU of the labels.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from perception.classes import semantic_kitti_classes_of
from perception.data.simulation import simulate_drive
from perception.evaluation.latency import summarize_stages
from perception.evaluation.machine import describe_machine
from perception.evaluation.metrics.confusion import ConfusionMatrix
from perception.ops import voxelize
from perception.runtime import Engine, load_engine
from perception.types import Frame, PointCloud

LabelledScan = tuple[NDArray[np.float32], NDArray[np.uint8]]
REAL_SCAN = Path(__file__).resolve().parents[2] / "shared" / "data" / "semantickitti_sample"
SEEDS = range(1, 10)
STAGES = ("voxelize", "maps", "network", "labels", "total")


def simulated_scans() -> Iterator[LabelledScan]:
    """One sweep of each drive that training never saw."""
    for seed in SEEDS:
        moment = next(iter(simulate_drive(seed=seed, sensor="hdl64e", frames=1)))
        assert moment.class_ids is not None
        yield moment.frame.cloud.points, moment.class_ids


def real_scans() -> Iterator[LabelledScan]:
    """The scan of the SemanticKITTI sample, if it is there."""
    if REAL_SCAN.is_dir():
        points = np.fromfile(REAL_SCAN / "000000.bin", np.float32).reshape(-1, 4)
        yield points, semantic_kitti_classes_of(np.fromfile(REAL_SCAN / "000000.label", np.uint32))


def measure(engine: Engine, scans: list[LabelledScan], repeats: int) -> dict[str, Any]:
    """Label every scan `repeats` times."""
    names = engine.description.classes
    confusion, stages = ConfusionMatrix(len(names)), []
    for points, class_ids in scans:
        frame = Frame(PointCloud(points))
        results = [engine.forward(frame) for _ in range(repeats)]
        stages += [result.stage_ms | {"total": sum(result.stage_ms.values())} for result in results]
        confusion.add(class_ids, results[0].class_ids)
    voxels = [len(voxelize(points, engine.description.voxel_size_m).coords) for points, _ in scans]
    return {
        "scans": len(scans),
        "points": float(np.mean([len(points) for points, _ in scans])),
        "voxels": float(np.mean(voxels)),
        "stage_ms": {stage: summary.model_dump() for stage, summary in summarize_stages(stages).items()},
        "mean_iou": confusion.mean_iou(),
        "iou": {name: iou for name, iou in zip(names, confusion.iou().tolist(), strict=True) if iou == iou},
    }


def print_table(result: dict[str, dict[str, Any]]) -> None:
    """Print medians, sizes and mean IoU, one source a column."""
    table = Table("milliseconds, median", *result)
    for stage in STAGES:
        table.add_row(stage, *(f"{figures['stage_ms'][stage]['p50']:.1f}" for figures in result.values()))
    for key, text in (("points", ",.0f"), ("voxels", ",.0f"), ("scans", "d"), ("mean_iou", ".3f")):
        table.add_row(key.replace("_", " "), *(format(figures[key], text) for figures in result.values()))
    Console().print(table)


def main() -> None:
    """Measure, print, and write out/bench/segmentation.json."""
    parser = argparse.ArgumentParser(description="What labelling a cloud costs, and how good the labels are.")
    parser.add_argument("--bundle", default="spvcnn_street")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    arguments = parser.parse_args()
    engine = load_engine(arguments.bundle)
    engine.warm_up()
    sources = {"simulated": list(simulated_scans()), "semantickitti": list(real_scans())}
    result = {name: measure(engine, scans, arguments.repeats) for name, scans in sources.items() if scans}
    print_table(result)
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / "segmentation.json"
    machine = describe_machine().model_dump()
    file.write_text(json.dumps({"bundle": engine.description.name, **result, "machine": machine}, indent=2) + "\n")
    print(f"written to {file}")


if __name__ == "__main__":
    main()
