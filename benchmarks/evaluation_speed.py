"""How an offline evaluation uses the cores, and whether its memory grows with the length of a bag.

    python -m benchmarks.evaluation_speed                 the demo networks on 200 simulated frames (about 5 minutes)
    python -m benchmarks.evaluation_speed --frames 20     a quick look

Runs `perception evaluate` with one worker on one core, and with a worker on every core, each on a tenth of the frames
and on all of them: what the further frames took, without the start of the networks, says how fast it goes. Memory is
that of all processes together (shared pages counted once) at its largest, as metrics.json has it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

MODELS = ("spvcnn_street", "flatformer_street")
FRAMES_A_BAG = 100


@dataclass(frozen=True)
class Run:
    """One evaluation: frames, wall and processor time (s), and the largest memory (MiB)."""

    frames: int
    wall_s: float
    cpu_s: float
    peak_mib: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--drives", type=Path, default=Path("out/benchmark_drives"), help="simulated bags, kept")
    parser.add_argument("--models", nargs="+", default=MODELS)
    arguments = parser.parse_args()
    bags = simulated(arguments.drives, arguments.frames)
    cores = sorted(os.sched_getaffinity(0))
    speeds = [measure(bags, arguments.models, some, arguments.frames) for some in (cores[:1], cores)]
    print(f"{len(cores)} cores are {speeds[1] / speeds[0]:.2f} times as fast as one")


def measure(bags: list[Path], models: list[str], cores: list[int], frames: int) -> float:
    """Print what an evaluation with a worker a core takes, and give its frames a second."""
    short = evaluate(bags, models, cores, max(2, frames // 10))
    whole = evaluate(bags, models, cores, frames)
    further = whole.frames - short.frames
    speed = further / (whole.wall_s - short.wall_s)
    print(
        f"{len(cores)} core{'s' * (len(cores) > 1)}: {speed:.2f} frames/s, "
        f"{(whole.cpu_s - short.cpu_s) / further:.3f} CPU s a frame; memory at most {short.peak_mib:.0f} MiB for "
        f"{short.frames} frames, {whole.peak_mib:.0f} MiB for {whole.frames}",
        flush=True,
    )
    return speed


def simulated(folder: Path, frames: int) -> list[Path]:
    """Bags that hold at least as many frames together, simulated where they are missing."""
    bags = [folder / f"hdl64e_seed{seed}_{FRAMES_A_BAG}" for seed in range(1, 1 + -(-frames // FRAMES_A_BAG))]
    for seed, bag in enumerate(bags, 1):
        if not bag.exists():
            words = ["simulate", "--out", str(bag), "--seed", str(seed), "--duration-s", str(FRAMES_A_BAG / 10)]
            perception(words)
    return bags


def evaluate(bags: list[Path], models: list[str], cores: list[int], frames: int) -> Run:
    """Evaluate the first frames of the bags on some of the cores."""
    limit = -(-frames // len(bags))
    with tempfile.TemporaryDirectory() as out:
        words = ["evaluate", *map(str, bags), "--models", *models, "--out", out]
        perception([*words, "--workers", str(len(cores)), "--limit", str(limit)], cores)
        metrics = json.loads((Path(out) / "metrics.json").read_text())
    wall_s, resources = metrics["run"]["duration_s"], metrics["models"][0]["resources"]
    done = sum(bag["frames"] for bag in metrics["run"]["bags"])
    return Run(done, wall_s, resources["cpu_percent"]["mean"] / 100 * wall_s, resources["memory_mib"]["max"])


def perception(words: list[str], cores: list[int] | None = None) -> None:
    """Run a command of this installation in a process of its own."""
    pin = None if cores is None else lambda: os.sched_setaffinity(0, cores)
    command = [sys.executable, "-m", "perception.cli", *words]
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=pin)
    if ended.returncode:
        raise SystemExit(f"perception {words[0]} ended with code {ended.returncode}:\n{ended.stdout}")


if __name__ == "__main__":
    main()
