"""What `perception export` shows when it is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from perception.export.exporter import Exported
from perception.export.precision import Precision
from perception.export.weights_report import print_facts
from perception.runtime.self_check import SELF_CHECK_FILE

EXACT = "equal"


def print_export(console: Console, exported: Exported, folder: Path, precision: Precision) -> None:
    """Print how far the bundle is from PyTorch, stage by stage, and what was written; in the precision asked for."""
    table = Table(title="Bundle beside PyTorch", title_justify="left", box=None, header_style="dim", pad_edge=False)
    table.add_column("stage")
    table.add_column("values", justify="right")
    table.add_column("largest error", justify="right")
    table.add_column("where")
    for stage, (count, value, error) in exported.comparison.stages().items():
        table.add_row(stage, str(count), f"{error:.1e}" if error else EXACT, value if error else "")
    console.print(table)
    console.print()
    print_facts(console, _facts(exported, folder, precision))


def _facts(exported: Exported, folder: Path, precision: Precision) -> Iterable[tuple[str, str]]:
    comparison, graph = exported.comparison, exported.graph
    kinds = Counter(operation.dtype for operation in graph.operations if operation.stage != "maps")
    regions = sum(operation.op == "dense_region" for operation in graph.operations)
    yield comparison.output, f"differ by {comparison.scores.error:.1e} of the largest"
    yield "results", f"{comparison.agreement:.3%} of {comparison.results:,} {comparison.unit} the same"
    computed = ", ".join(f"{count} in {dtype}" for dtype, count in sorted(kinds.items()))
    yield "operations", f"{len(graph.operations)}; of those on features {computed}; {regions} dense regions"
    if regions:
        yield "regions", "float32 in their files; where a GPU's engine is built, that can be float16 or int8"
    if regions and precision != "float32":
        yield "precision", "float32: --precision changes nothing here, it is for networks without dense regions"
    if SELF_CHECK_FILE not in exported.description.files:
        yield (
            "self-check",
            "none: the network is sure of nothing in these clouds; compare on one with objects (--cloud)",
        )
    size = sum(file.stat().st_size for file in folder.iterdir())
    yield "bundle", f"{folder} ({len(list(folder.iterdir()))} files, {size / 1e6:.1f} MB)"
