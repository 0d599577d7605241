"""Geometry of the report's charts: plain numbers that the templates draw as inline SVG and table cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Distinct on light and dark ground, and neighbours differ in brightness for colour-blind readers (after Paul Tol).
STAGE_COLORS = (
    "#4477aa",
    "#ddcc77",
    "#228833",
    "#ee6677",
    "#66ccee",
    "#aa3377",
    "#ee8866",
    "#88ccaa",
    "#6655cc",
    "#bbbb33",
    "#cc99bb",
    "#999999",
)


@dataclass(frozen=True)
class Rectangle:
    """A filled rectangle in chart coordinates, y down."""

    x: float
    y: float
    width: float
    height: float
    color: str
    hint: str


@dataclass(frozen=True)
class Line:
    """A line through points (x, y) in chart coordinates; dashed: a mark rather than data."""

    points: tuple[tuple[float, float], ...]
    color: str
    label: str
    dashed: bool = False


@dataclass(frozen=True)
class Area:
    """Many rectangles of one colour as one SVG path: a thousand elements would make a page slow."""

    path: str
    color: str
    label: str


@dataclass(frozen=True)
class Tick:
    """A labelled position on an axis."""

    position: float
    label: str


@dataclass(frozen=True)
class Chart:
    """A chart of `width` x `height` units.

    Attributes:
        areas: drawn first.
        rectangles: drawn over them; those without a colour are only there for their hints.
        lines: drawn last.
        x_ticks, y_ticks: of the axes.
        note: what a reader must know to read it right.
    """

    width: float
    height: float
    rectangles: tuple[Rectangle, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    areas: tuple[Area, ...] = ()
    lines: tuple[Line, ...] = ()
    note: str = ""


def tick_values(maximum: float, about: int = 5) -> list[float]:
    """Round numbers from 0 to at most `maximum`, roughly `about` of them."""
    if maximum <= 0:
        return [0.0]
    raw = maximum / about
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= raw)
    return [step * index for index in range(int(maximum / step + 1e-9) + 1)]


def histogram(samples_ms: Sequence[float], width: float = 1000.0, height: float = 240.0, bins: int = 40) -> Chart:
    """How many frames took how long, with the median, p95 and p99; what is far beyond counts in the last bar."""
    highest_ms, note = axis_end_ms(samples_ms)
    counts, edges_ms = np.histogram(np.minimum(samples_ms, highest_ms), bins=bins, range=(0.0, highest_ms))
    most = max(1, int(counts.max()))
    step = width / bins
    rectangles = tuple(
        Rectangle(
            index * step,
            height * (1 - count / most),
            step * 0.92,
            height * count / most,
            STAGE_COLORS[0],
            f"{edges_ms[index]:.1f} to {edges_ms[index + 1]:.1f} ms: {count} frames",
        )
        for index, count in enumerate(counts.tolist())
    )
    x_ticks = tuple(Tick(width * value / highest_ms, f"{value:g}") for value in tick_values(highest_ms, 8))
    y_ticks = tuple(Tick(height * (1 - value / most), f"{value:g}") for value in tick_values(most, 4) if value % 1 == 0)
    lines = tuple(_percentile_lines(samples_ms, highest_ms, width, height)) if len(samples_ms) else ()
    return Chart(width, height, rectangles, x_ticks, y_ticks, lines=lines, note=note)


def axis_end_ms(samples_ms: Sequence[float]) -> tuple[float, str]:
    """Where an axis of durations ends: a few frames that took many times longer must not squeeze all others.

    Returns:
        the end, at least 1e-3, and a sentence that says what lies beyond, if anything does.
    """
    highest_ms = max(samples_ms, default=1.0) * 1.02
    if not highest_ms:
        return 1.0, ""
    usual_ms = 3.0 * float(np.percentile(samples_ms, 95)) if len(samples_ms) else highest_ms
    if not 0 < usual_ms < highest_ms:
        return max(highest_ms, 1e-3), ""
    beyond = sum(sample_ms > usual_ms for sample_ms in samples_ms)
    return usual_ms, f"Beyond the axis: {beyond}, up to {max(samples_ms):.0f} ms."


def _percentile_lines(samples_ms: Sequence[float], highest_ms: float, width: float, height: float) -> list[Line]:
    marks = (("median", 50, STAGE_COLORS[2]), ("p95", 95, STAGE_COLORS[6]), ("p99", 99, STAGE_COLORS[3]))
    lines = []
    for name, percent, color in marks:
        at_ms = float(np.percentile(samples_ms, percent))
        x = width * min(1.0, at_ms / highest_ms)
        lines.append(Line(((x, 0.0), (x, height)), color, f"{name} {at_ms:.1f} ms", dashed=True))
    return lines


@dataclass(frozen=True)
class ConfusionCell:
    """One cell of a confusion matrix: its share of the row, and how strongly to colour it (0..1)."""

    percent: float
    points: int
    strength: float
    right: bool


def confusion_rows(
    classes: Sequence[str], confusion: Sequence[Sequence[int]]
) -> tuple[list[str], list[tuple[str, list[ConfusionCell]]]]:
    """The part of a confusion matrix that is not empty: names of its columns, and each row with its name.

    Each row is given as shares of its true points. The colour grows with the logarithm of the share, from 0.1 % to
    100 %: rare confusions stay visible.
    """
    counts = np.asarray(confusion, np.int64)
    occurs, predicted = counts.any(axis=1), counts.any(axis=0)
    columns = np.flatnonzero(occurs | predicted).tolist()
    rows = []
    for index in np.flatnonzero(occurs).tolist():
        shares = counts[index] / counts[index].sum()
        cells = [_confusion_cell(shares[other], int(counts[index, other]), index == other) for other in columns]
        rows.append((classes[index], cells))
    return [classes[index] for index in columns], rows


def _confusion_cell(share: float, points: int, right: bool) -> ConfusionCell:
    strength = min(1.0, max(0.0, 1 + math.log10(share) / 3)) if share else 0.0
    return ConfusionCell(100 * share, points, strength, right)
