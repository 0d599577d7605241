"""Time every native kernel beside a named peer, and say whether each required ratio is met.

    python benchmarks/kernels.py [--scan SCAN.bin] [--threads 2] [--only NAME ...] [--fast]

SCAN.bin is a KITTI scan (float32 x, y, z, intensity); without it the SemanticKITTI scan of ../shared is timed, or a
simulated HDL-64E sweep where that folder is absent. All figures come from one run; a time is the fastest of several.
Writes out/bench/kernels.json: a list of {name, ours_ms, peer, peer_ms, ratio, required}.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import sys
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP))
sys.path.append(str(TOP / "build" / "peers"))  # installed by `make bench` (benchmarks/requirements.txt)

from benchmarks import kernel_cases  # noqa: E402
from benchmarks.kernel_cases import Case, Context, fastest_ms, fastest_of_each_ms, real_scan  # noqa: E402
from perception import ops  # noqa: E402
from perception.data.simulation import simulate_drive  # noqa: E402

Row = dict[str, object]


def read_points(scan: Path | None) -> tuple[np.ndarray, str]:
    """Points float32 [N, 4] of the named scan, of the real one beside the checkout, or of a simulated sweep."""
    scan = scan or real_scan(TOP)
    if scan is not None:
        return np.fromfile(scan, np.float32).reshape(-1, 4), f"{scan.parent.name}/{scan.name}"
    return next(simulate_drive(seed=1, sensor="hdl64e", frames=1)).frame.cloud.points, "simulated HDL-64E"


def measure_machine(threads: int) -> tuple[float, float]:
    """Rates of a large matrix product (GFLOP/s) and of a large copy (1e9 bytes a second)."""
    torch.set_num_threads(threads)
    square = torch.randn(2048, 2048)
    product = torch.empty_like(square)
    gflops = 2e-6 * 2048**3 / fastest_ms(lambda: torch.mm(square, square, out=product), 10, 3.0)
    source = torch.randn(2**26)
    target = torch.empty_like(source)
    gbs = 2e-6 * source.nbytes / fastest_ms(lambda: target.copy_(source), 5, 2.0)
    return gflops, gbs


def run_case(case: Case) -> Row:
    """Time ours and the peer."""
    if case.ours is None:
        ours_ms, peer_ms = case.ours_ms, case.peer_ms
    elif case.peer is None:
        ours_ms, peer_ms = fastest_ms(case.ours), case.peer_ms
    else:
        ours_ms, peer_ms = fastest_of_each_ms([case.ours, case.peer])
    ratio = None if peer_ms is None else peer_ms / ours_ms
    return {
        "name": case.name,
        "ours_ms": ours_ms,
        "peer": case.peer_name,
        "peer_ms": peer_ms,
        "ratio": ratio,
        "required": case.required,
        "note": case.note,
    }


def print_rows(rows: list[Row], title: str) -> None:
    """Show what was measured, and which requirement is missed."""
    table = Table(title=title, title_justify="left")
    for name, justify in (("case", "left"), ("ours ms", "right"), ("peer", "left"), ("peer ms", "right")):
        table.add_column(name, justify=justify)
    for name in ("ratio", "required"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in rows:
        ratio, required = row["ratio"], row["required"]
        missed = required is not None and ratio < required
        verdict = "" if required is None else "[red]missed[/red]" if missed else "[green]met[/green]"
        numbers = ["" if row[key] is None else f"{row[key]:.2f}" for key in ("ours_ms", "peer_ms", "ratio", "required")]
        table.add_row(row["name"], numbers[0], row["peer"], *numbers[1:], f"{verdict} {row['note']}".strip())
    Console(width=None if sys.stdout.isatty() else 170).print(table)


def main() -> None:
    """Run the cases of every family, or of those named."""
    families = sorted(module.name for module in pkgutil.iter_modules(kernel_cases.__path__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scan", type=Path)
    parser.add_argument("--threads", type=int, default=ops.default_threads())
    parser.add_argument("--only", nargs="+", choices=families, default=families, metavar="NAME", help=str(families))
    parser.add_argument("--fast", action="store_true", help="fewer and smaller cases, to try the programs out")
    parser.add_argument("--output", type=Path, default=TOP / "out" / "bench" / "kernels.json")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # also for the kernels that a peer calls
    points, scan = read_points(arguments.scan)
    gflops, gbs = measure_machine(arguments.threads)
    context = Context(arguments.threads, points, scan, gflops, gbs, arguments.fast)
    modules = [importlib.import_module(f"benchmarks.kernel_cases.{name}") for name in arguments.only]
    with torch.inference_mode():
        cases = [case for module in modules for case in module.cases(context)]
        rows = [run_case(case) for case in track(cases, "timing", console=Console(stderr=True), transient=True)]
    machine = f"{ops.instruction_set()}, {arguments.threads} threads, sgemm {gflops:.0f} GFLOP/s, copy {gbs:.1f} GB/s"
    print_rows(rows, f"{scan}, {len(points)} points; {machine}")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
