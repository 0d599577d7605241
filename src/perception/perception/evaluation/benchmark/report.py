"""What `perception benchmark` shows and writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from perception.bundle.format import CommonDescription
from perception.evaluation.benchmark.measure import Figures
from perception.evaluation.results import LatencySummary, MachineDescription
from perception.runtime.inspection import FrameCosts

BELOW_MS = 0.005


@dataclass(frozen=True)
class Benchmark:
    """A measurement with what it is of.

    Attributes:
        bundle: what was run.
        device: where.
        threads: CPU threads.
        machine: which machine.
        clouds: where they come from.
        costs: of each cloud.
        figures: what was found.
    """

    bundle: CommonDescription
    device: str
    threads: int
    machine: MachineDescription
    clouds: str
    costs: Sequence[FrameCosts]
    figures: Figures

    @property
    def points(self) -> list[int]:
        """Of each cloud."""
        return [one.points for one in self.costs]

    @property
    def voxels(self) -> list[int]:
        """Of each cloud's finest level; 0 for networks on blocks."""
        return [one.runs[0].get("voxels/1", 0) for one in self.costs]

    @property
    def pillars(self) -> list[int]:
        """Of each cloud; 0 for networks that have none."""
        return [one.runs[0].get("pillars", 0) for one in self.costs]

    def to_json(self) -> str:
        """Everything, times in milliseconds."""
        figures = self.figures
        values = {
            "bundle": self.bundle.name,
            "weights_sha256": self.bundle.weights_sha256,
            "device": self.device,
            "threads": self.threads,
            "machine": self.machine.model_dump(),
            "clouds": {"source": self.clouds, "points": self.points, "voxels": self.voxels, "pillars": self.pillars},
            "frames": figures.total.count,
            "total_ms": figures.total.model_dump(),
            "graph_ms": figures.graph.model_dump(),
            "kernels_ms": figures.kernels and figures.kernels.model_dump(),
            "overhead_ms": figures.overhead and figures.overhead.model_dump(),
            "overhead_of_kernels": figures.overhead_share,
            "stages": _with_arithmetic(figures.stages, figures.stage_gmac),
            "operations": _with_arithmetic(figures.operations, figures.operation_gmac),
        }
        return json.dumps(values, indent=1) + "\n"


def print_benchmark(console: Console, benchmark: Benchmark, per_operation: bool) -> None:
    """Print the figures, stage by stage or operation by operation."""
    figures = benchmark.figures
    for name, text in _facts(benchmark):
        console.print(Text.assemble((f"{name:<11}", "dim"), text), soft_wrap=True)
    console.print()
    if per_operation:
        console.print(_table("operation", figures.operations, figures.operation_gmac, figures))
        console.print()
    console.print(_table("stage", figures.stages, figures.stage_gmac, figures, with_total=True))
    console.print()
    if figures.overhead and figures.kernels:
        text = f"{figures.overhead.p50:.2f} ms in the executor, {figures.overhead_share:.1%}".replace("%", " %")
        text += f" of the {figures.kernels.p50:.1f} ms in kernels"
        console.print(Text.assemble(("overhead   ", "dim"), text))


def _facts(benchmark: Benchmark) -> Iterable[tuple[str, str]]:
    figures, machine = benchmark.figures, benchmark.machine
    yield "bundle", f"{benchmark.bundle.name}, on {benchmark.device}, {_count(benchmark.threads, 'thread')}"
    yield "machine", f"{machine.cpu}, {_count(machine.cores, 'core')}, {machine.memory_gib:g} GiB"
    sizes = f"{_range(benchmark.points)} points"
    if any(benchmark.voxels):
        sizes += f", {_range(benchmark.voxels)} voxels"
    if any(benchmark.pillars):
        sizes += f", {_range(benchmark.pillars)} pillars"
    yield "clouds", f"{benchmark.clouds}: {sizes}"
    rate_hz = 1e3 / figures.total.p50
    yield (
        "frames",
        f"{figures.total.count} timed; {figures.total.p50:.1f} ms each at the median, {rate_hz:.1f} a second",
    )


def _table(
    what: str,
    parts: Mapping[str, LatencySummary],
    gmac: Mapping[str, float],
    figures: Figures,
    with_total: bool = False,
) -> Table:
    total, sum_ms = figures.total, sum(stage.p50 for stage in figures.stages.values())
    table = Table(box=None, header_style="dim", pad_edge=False, show_footer=with_total)
    footer = [f"{value:.2f}" for value in (total.p50, total.p95, total.p99)]
    table.add_column(f"{what}, ms", footer="total", overflow="fold")
    for name, value in zip(("median", "p95", "p99"), footer, strict=True):
        table.add_column(name, justify="right", footer=value, no_wrap=True)
    table.add_column("share", justify="right", footer="100.0 %", no_wrap=True)
    every = sum(gmac.values())
    table.add_column("GMAC", justify="right", footer=f"{every:.2f}", no_wrap=True)
    table.add_column("GMAC/s", justify="right", footer=f"{every / total.p50 * 1e3:.1f}", no_wrap=True)
    for name, found in parts.items():
        times = [f"{value:.2f}" for value in (found.p50, found.p95, found.p99)]
        table.add_row(name, *times, f"{found.p50 / sum_ms:.1%}".replace("%", " %"), *_arithmetic(name, found, gmac))
    return table


def _arithmetic(name: str, found: LatencySummary, gmac: Mapping[str, float]) -> tuple[str, str]:
    if name not in gmac:
        return "", ""
    rate = f"{gmac[name] / found.p50 * 1e3:.1f}" if found.p50 > BELOW_MS else ""
    return f"{gmac[name]:.2f}", rate


def _with_arithmetic(parts: Mapping[str, LatencySummary], gmac: Mapping[str, float]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, found in parts.items():
        values[name] = found.model_dump()
        if name in gmac:
            values[name] |= {"gmac": gmac[name], "gmac_per_s": gmac[name] / max(found.p50, 1e-9) * 1e3}
    return values


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
