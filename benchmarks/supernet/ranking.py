"""Whether inherited weights rank networks as training would: Kendall's tau over random networks of the supernet.

    python benchmarks/supernet/ranking.py [--bundle spvnas_street] [--networks 20] [--steps 60] [--out out/bench]

Each network is cut out of the supernet and measured on unseen drives, once with the inherited weights and once after a
brief training of its own. Writes out/bench/supernet_ranking.json and a picture, supernet_ranking.png.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from shared_weights import CLASSES, CostModel, TrainedSupernet, describe

from perception.evaluation.metrics.ranking import kendall_tau
from perception.models.spvnas import SPVNAS
from perception.training.batches import prefetched
from perception.training.clouds import LabelledPoints
from perception.training.learners import FIRST_KERNEL, fold_feature_scale
from perception.training.loop import calibration_batches
from perception.training.losses import class_weights, segmentation_loss
from perception.training.recalibration import recalibrate

matplotlib.use("agg")
import matplotlib.pyplot as plt

TRAINING_SEEDS, TEST_SEEDS = range(1000, 1100), range(1, 21)
LEARNING_RATE = 0.001


def fine_tune(trained: TrainedSupernet, network: SPVNAS, clouds: list[LabelledPoints], steps: int) -> SPVNAS:
    """Train a network briefly, from the weights that it inherited, and measure its statistics anew."""
    settings = trained.settings
    scale = torch.tensor(settings.feature_scale)
    with torch.no_grad():
        network.get_parameter(FIRST_KERNEL).div_(scale[:, None])
    counts = np.sum([np.bincount(cloud.class_ids, minlength=256) for cloud in clouds], axis=0)
    weights = class_weights(counts[:CLASSES], settings.loss.class_weight_power)
    network.dropout.p = settings.dropout
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=settings.optimizer.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    jobs = [range(step * settings.batch_size, (step + 1) * settings.batch_size) for step in range(steps)]
    network.train()
    for batch in prefetched(jobs, clouds, settings):
        scores = network.label(batch.tables, batch.features)
        loss = segmentation_loss(scores, batch.classes, weights, settings.loss.lovasz_weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    recalibrate(network, calibration_batches(clouds, settings))
    tuned = fold_feature_scale(network, settings.feature_scale)
    assert isinstance(tuned, SPVNAS)
    return tuned


def draw(inherited: Sequence[float], tuned: Sequence[float], gmac: Sequence[float], tau: float, file: Path) -> None:
    """Plot mean IoU after training against mean IoU with inherited weights."""
    figure, axes = plt.subplots(figsize=(6, 5), layout="constrained")
    points = axes.scatter(inherited, tuned, c=gmac, cmap="viridis", s=60, edgecolors="black", linewidths=0.5)
    figure.colorbar(points, label="billion multiply-accumulates a frame")
    axes.set(
        xlabel="mean IoU with inherited weights",
        ylabel="mean IoU after brief training",
        title=f"{len(inherited)} networks of one supernet, Kendall's tau {tau:.2f}",
    )
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=120)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default="spvnas_street")
    parser.add_argument("--configuration", default="spvnas_street")
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--work", type=Path, default=Path("out/training"))
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    arguments = parser.parse_args()
    trained = TrainedSupernet(arguments.bundle, arguments.configuration)
    clouds, test = (trained.clouds(seeds, arguments.work) for seeds in (TRAINING_SEEDS, TEST_SEEDS))
    cost = CostModel(test[:4], trained.settings.voxel_size_m)
    rng = np.random.default_rng(1)
    networks = [trained.space.sample(rng) for _ in range(arguments.networks)]
    rows = []
    for one in track(networks, description="networks"):
        network = trained.inherit(one, clouds)
        before = trained.mean_iou(network, test)
        after = trained.mean_iou(fine_tune(trained, network, clouds, arguments.steps), test)
        rows.append({"network": describe(one), "gmac": cost.gmac(one), "inherited": before, "tuned": after})
    inherited, tuned, gmac = ([row[key] for row in rows] for key in ("inherited", "tuned", "gmac"))
    tau = kendall_tau(inherited, tuned)
    arguments.out.mkdir(parents=True, exist_ok=True)
    result = {"kendall_tau": tau, "steps": arguments.steps, "networks": rows}
    (arguments.out / "supernet_ranking.json").write_text(json.dumps(result, indent=1))
    draw(inherited, tuned, gmac, tau, arguments.out / "supernet_ranking.png")
    table = Table("down and up: width x depth", "GMAC", "inherited", "after training")
    for row in sorted(rows, key=lambda row: row["inherited"]):
        table.add_row(row["network"], f"{row['gmac']:.2f}", f"{row['inherited']:.3f}", f"{row['tuned']:.3f}")
    console = Console()
    console.print(table)
    console.print(f"Kendall's tau {tau:.2f}")


if __name__ == "__main__":
    main()
