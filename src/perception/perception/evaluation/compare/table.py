"""Differences of two evaluations on a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from perception.evaluation.compare.comparison import ComparisonResults, Difference, ModelComparison, Verdict

STYLES: Mapping[Verdict, str] = {"better": "bold green", "worse": "bold red"}
#: What is left out unless everything is asked for: parts of a frame's time, and of its objects.
DETAILS = ("mIoU.", "mAP.", "KITTI.", "cpu.", "memory.", "gpu.", "gpu_memory.", "power.")
WHOLE_TIMES = ("latency.total.", "latency.end_to_end.")


def print_comparison(console: Console, results: ComparisonResults, everything: bool = False) -> None:
    """Print a table for each network, then what the figures do not say.

    Args:
        console: where.
        results: the comparison.
        everything: also stages, bands and resources.
    """
    for model in results.models:
        console.print(_table(model, everything))
    for line in [*_explanation(results), *results.notes]:
        console.print(escape(line), style="dim")


def _table(model: ModelComparison, everything: bool) -> Table:
    title = model.first if model.first == model.second else f"{model.first} and {model.second}"
    table = Table(
        title=escape(title),
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("figure", overflow="fold")  # gives way where the terminal is narrow
    for heading in ("first", "second", "change", "95 % interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("second is", no_wrap=True)
    for name, one in model.figures.items():
        if (one.first is not None or one.second is not None) and (everything or _is_shown(name)):
            table.add_row(escape(name), *_cells(one), Text(one.verdict, STYLES.get(one.verdict, "dim")))
    return table


def _is_shown(name: str) -> bool:
    return name.startswith(WHOLE_TIMES) or not name.startswith((*DETAILS, "latency."))


def _cells(one: Difference) -> list[str]:
    largest = max(abs(value) for value in (one.first, one.second) if value is not None)
    decimals = 4 if largest < 1 else 2 if largest < 1000 else 0

    def shown(value: float | None, sign: str = "") -> str:
        return "" if value is None else f"{value:{sign}.{decimals}f}" if value else "0"

    between = "" if one.low is None else f"{shown(one.low, '+')} to {shown(one.high, '+')}"
    return [shown(one.first), shown(one.second), shown(one.difference, "+"), between]


def _explanation(results: ComparisonResults) -> list[str]:
    tested = [model for model in results.models if model.paired is not None]
    if not tested or not results.resamples:
        return []
    frames = "the same frames of both runs" if all(model.paired for model in tested) else "frames"
    return [
        f"Intervals: {results.resamples} resamples of {frames} in blocks of up to {results.block_frames}; "
        "no difference: the interval holds 0."
    ]
