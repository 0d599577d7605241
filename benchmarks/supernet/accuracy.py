"""How good the largest network of the shipped supernet is, and the best one at a quarter of its cost.

    python benchmarks/supernet/accuracy.py [--bundle spvnas_street] [--candidates 24] [--out out/bench]

Networks of at most a quarter of the largest one's multiplications inherit its weights; the best of them on drives of
one range of seeds is then measured, as the largest is, on drives of another that neither training nor choice has seen.
Writes out/bench/supernet_accuracy.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from shared_weights import CLASSES, CostModel, TrainedSupernet, describe

from perception.bundle.architecture import SpvnasArchitecture
from perception.classes import SEMANTIC_KITTI_CLASSES
from perception.models.spvnas import SPVNAS
from perception.training.validation import evaluate

#: Drives for the statistics of batch norm, for the choice, and for the figures.
CALIBRATION_SEEDS, CHOICE_SEEDS, TEST_SEEDS = range(1000, 1040), range(40, 48), range(1, 21)
QUARTER = 0.25


def candidates(trained: TrainedSupernet, cost: CostModel, count: int) -> list[SpvnasArchitecture]:
    """Networks close to, and not above, a quarter of the largest one's cost: uniform ones, then random ones."""
    limit = QUARTER * cost.gmac(trained.space.largest)
    found = [trained.space.scaled(ratio, depth) for ratio in np.linspace(0.35, 0.75, 9) for depth in (1, 2)]
    rng = np.random.default_rng(0)
    found += [trained.space.sample(rng) for _ in range(2_000)]
    fitting = [one for one in dict.fromkeys(found) if 0.8 * limit <= cost.gmac(one) <= limit]
    return fitting[:count]


def measure(trained: TrainedSupernet, network: SPVNAS, clouds: list, cost: float) -> dict[str, Any]:
    """Mean IoU and IoU of every class that occurs."""
    confusion = evaluate(trained.learner.labeller(network), clouds, CLASSES)
    classes = zip(SEMANTIC_KITTI_CLASSES, confusion.iou(), confusion.occurs, strict=True)
    iou = {name: round(float(value), 4) for name, value, occurs in classes if occurs}
    return {"gmac": round(cost, 3), "mean_iou": round(confusion.mean_iou(), 4), "iou": iou}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default="spvnas_street")
    parser.add_argument("--configuration", default="spvnas_street")
    parser.add_argument("--candidates", type=int, default=24)
    parser.add_argument("--work", type=Path, default=Path("out/training"))
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    arguments = parser.parse_args()
    trained = TrainedSupernet(arguments.bundle, arguments.configuration)
    calibration, choice, test = (
        trained.clouds(seeds, arguments.work) for seeds in (CALIBRATION_SEEDS, CHOICE_SEEDS, TEST_SEEDS)
    )
    cost = CostModel(test[:4], trained.settings.voxel_size_m)
    scores = {
        one: trained.mean_iou(trained.inherit(one, calibration), choice)
        for one in track(candidates(trained, cost, arguments.candidates), description="networks at a quarter")
    }
    quarter = max(scores, key=lambda one: scores[one])
    results = {
        name: measure(trained, trained.inherit(one, calibration), test, cost.gmac(one)) | {"network": describe(one)}
        for name, one in (
            ("largest", trained.space.largest),
            ("quarter", quarter),
            ("smallest", trained.space.smallest),
        )
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    architectures = {"quarter_architecture": quarter.model_dump()}
    (arguments.out / "supernet_accuracy.json").write_text(json.dumps(results | architectures, indent=1))
    show(results)


def show(results: dict[str, dict[str, Any]]) -> None:
    """Print one column a network."""
    table = Table(title=f"mean IoU on drives of seeds {TEST_SEEDS[0]} to {TEST_SEEDS[-1]}")
    table.add_column("")
    for name in results:
        table.add_column(name, justify="right")
    for row in ("network", "gmac", "mean_iou"):
        table.add_row(row, *(str(result[row]) for result in results.values()))
    for name in results["largest"]["iou"]:
        table.add_row(name, *(f"{result['iou'][name]:.3f}" for result in results.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
