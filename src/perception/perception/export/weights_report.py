"""What `perception weights` shows on the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from perception.bundle.detection import FlatFormerSettings
from perception.bundle.format import SpvnasSettings
from perception.models.checkpoints import Mismatch
from perception.models.published import PublishedSettings

SHOWN_TENSORS = 20
NAME_COLUMNS = 13


def print_facts(console: Console, facts: Iterable[tuple[str, str]]) -> None:
    """Print what was found, one line a fact; lines are not broken, so that paths and commands can be copied."""
    for name, text in facts:
        console.print(Text.assemble((f"{name:<{NAME_COLUMNS}}", "dim"), text), soft_wrap=True)


def print_mismatch(console: Console, mismatch: Mismatch) -> None:
    """Print every tensor that does not fit, by group, one line each; of a large group only the first ones."""
    missing = [(name, shape) for name, shape in mismatch.missing.items()]
    unexpected = [(name, shape) for name, shape in mismatch.unexpected.items()]
    reshaped = [(name, f"{theirs}, expected {ours}") for name, (ours, theirs) in mismatch.reshaped.items()]
    for title, rows in (("missing", missing), ("unexpected", unexpected), ("of another shape", reshaped)):
        if rows:
            _print_group(console, title, rows)


def describe_network(settings: PublishedSettings) -> str:
    """One line about a network's size."""
    if isinstance(settings, FlatFormerSettings):
        attention = f"{settings.blocks} blocks of {settings.channels} channels, {settings.heads} heads"
        windows = f"windows of {settings.window} x {settings.window}, groups of {settings.group_size}"
        return f"{settings.model}, {attention}, {windows}, {settings.point_channels} features a point"
    if not isinstance(settings, SpvnasSettings):
        return f"{settings.model}, width {settings.width:g}, {settings.input_channels} features a voxel"
    stages = (*settings.architecture.down, *settings.architecture.up)
    widths = " ".join(str(stage.out) for stage in stages)
    depths = " ".join(str(len(stage.hidden)) for stage in stages)
    return f"{settings.model}, stages {widths} wide and {depths} deep, {settings.input_channels} features a voxel"


def _print_group(console: Console, title: str, rows: list[tuple[str, str]]) -> None:
    console.print(Text(f"{len(rows)} {title}", style="bold red"))
    for name, shape in rows[:SHOWN_TENSORS]:
        console.print(Text.assemble("  ", name, "  ", (shape, "dim")), soft_wrap=True)
    if len(rows) > SHOWN_TENSORS:
        console.print(Text(f"  ... and {len(rows) - SHOWN_TENSORS} more", style="dim"))
