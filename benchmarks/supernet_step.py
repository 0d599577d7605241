"""How long a training step of the demo's supernet takes on simulated HDL-64E sweeps, beside plain PyTorch.

    python benchmarks/supernet_step.py [--steps 7] [--out out/bench]

A step is what config/training/spvnas_street.yaml says: several networks, each with a sweep of its own, loss, gradients,
optimiser and running average. The peer computes the same step with the reference operations (gather, matrix product,
index_add). Making the batches (augmentation, voxels, kernel maps) is timed by itself: while training, it happens in the
background. Writes out/bench/supernet_step.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from perception.nn.backends import REFERENCE
from perception.nn.tables import FrameTables
from perception.training.batches import Batch, make_batch, samples_of_part
from perception.training.clouds import LabelledPoints, simulated_drive
from perception.training.command import load_configuration, start

SEEDS = (1, 2)


def median_s(steps: int, work: Callable[[], object]) -> float:
    """Median wall time of `work`, after one call that is not counted."""
    times = []
    for _ in range(steps + 1):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return statistics.median(times[1:])


def plain(batch: Batch) -> Batch:
    """The same batch, for the reference operations."""
    tables = FrameTables(batch.tables.coords(1), backend=REFERENCE)
    return replace(batch, tables=tables)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    arguments = parser.parse_args()
    settings = load_configuration("spvnas_street")
    moments = [moment for seed in SEEDS for moment in simulated_drive(settings.data)(seed)]
    clouds = [LabelledPoints(one.frame.cloud.points, one.class_ids, one.instance_ids) for one in moments]
    trainer = start(settings, clouds)
    parts = trainer.learner.parts

    def batches() -> list[Batch]:
        numbers = [samples_of_part(0, part, parts, settings.batch_size) for part in range(parts)]
        return [make_batch(sample, clouds, settings) for sample in numbers]

    ours, peers = batches(), [plain(batch) for batch in batches()]
    making_s = median_s(arguments.steps, batches)
    ours_s = median_s(arguments.steps, lambda: trainer.advance(ours))
    peer_s = median_s(1, lambda: trainer.advance(peers))
    result = {
        "threads": torch.get_num_threads(),
        "networks_per_step": parts,
        "voxels": [len(batch.classes) for batch in ours],
        "step_s": round(ours_s, 3),
        "batches_s": round(making_s, 3),
        "pytorch_step_s": round(peer_s, 3),
        "ratio": round(peer_s / ours_s, 2),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "supernet_step.json").write_text(json.dumps(result, indent=1))
    table = Table("a training step of the supernet", "")
    for name, value in result.items():
        table.add_row(name, str(value))
    Console().print(table)


if __name__ == "__main__":
    main()
