"""Geometry of the report's charts: plain numbers that the template draws as inline SVG and table cells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
class Tick:
    """A labelled position on an axis."""

    position: float
    label: str


@dataclass(frozen=True)
class Chart:
    """A chart of `width` x `height` units: rectangles, and the ticks of its axes."""

    width: float
    height: float
    rectangles: tuple[Rectangle, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def tick_values(maximum: float, about: int = 5) -> list[float]:
    """Round numbers from 0 to at most `maximum`, roughly `about` of them."""
    if maximum <= 0:
        return [0.0]
    raw = maximum / about
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= raw)
    return [step * index for index in range(int(maximum / step + 1e-9) + 1)]


def timeline(frames: Sequence[Mapping[str, float]], width: float = 1000.0, height: float = 240.0) -> Chart:
    """One column a frame, its stages stacked, in milliseconds."""
    stages = list(dict.fromkeys(stage for frame in frames for stage in frame))
    highest_ms = max((sum(frame.values()) for frame in frames), default=0.0) or 1.0
    column = width / max(1, len(frames))
    rectangles = []
    for index, frame in enumerate(frames):
        bottom = height
        for stage, duration_ms in frame.items():
            tall = height * duration_ms / highest_ms
            bottom -= tall
            color = STAGE_COLORS[stages.index(stage) % len(STAGE_COLORS)]
            hint = f"frame {index + 1}, {stage}: {duration_ms:.1f} ms"
            rectangles.append(Rectangle(index * column, bottom, column * 0.88, tall, color, hint))
    y_ticks = [Tick(height * (1 - value / highest_ms), f"{value:g}") for value in tick_values(highest_ms)]
    x_ticks = [Tick((value - 0.5) * column, f"{value:g}") for value in tick_values(len(frames), 8) if value >= 1]
    return Chart(width, height, tuple(rectangles), tuple(x_ticks), tuple(y_ticks))


def histogram(samples_ms: Sequence[float], width: float = 1000.0, height: float = 240.0, bins: int = 30) -> Chart:
    """How many frames took how long."""
    highest_ms = max(samples_ms, default=0.0) * 1.02 or 1.0
    counts, _ = np.histogram(samples_ms, bins=bins, range=(0.0, highest_ms))
    most = max(1, int(counts.max()))
    step = width / bins
    rectangles = tuple(
        Rectangle(
            index * step,
            height * (1 - count / most),
            step * 0.92,
            height * count / most,
            STAGE_COLORS[0],
            f"{highest_ms * index / bins:.0f} to {highest_ms * (index + 1) / bins:.0f} ms: {count} frames",
        )
        for index, count in enumerate(counts.tolist())
    )
    x_ticks = tuple(Tick(width * value / highest_ms, f"{value:g}") for value in tick_values(highest_ms, 8))
    y_ticks = tuple(Tick(height * (1 - value / most), f"{value:g}") for value in tick_values(most, 4) if value % 1 == 0)
    return Chart(width, height, rectangles, x_ticks, y_ticks)


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
