"""The timeline of a run: how long frames took, stage by stage, one column a frame or several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from perception.evaluation.report.charts import (
    STAGE_COLORS,
    Area,
    Chart,
    Line,
    Rectangle,
    Tick,
    axis_end_ms,
    tick_values,
)
from perception.evaluation.report.series import Column, FrameSeries

#: More would need colours that look alike; the shortest go into one.
MOST_STAGES = len(STAGE_COLORS)
REST = "all shorter stages"
SLOWEST_COLOR = "#888888"
DROPPED_COLOR = "#d1242f"
DROPPED_HEIGHT = 8.0
#: Of a column's width; the rest is the gap to the next, where columns are wide enough to have one.
FILLED = 0.88


def timeline(series: FrameSeries, width: float = 1000.0, height: float = 260.0) -> Chart:
    """Draw the mean of each stage, stacked; above it the slowest frame of each column, below it what was dropped."""
    columns = series.columns
    highest_ms, note = axis_end_ms([column.slowest_ms for column in columns if column.results])
    step = width / max(1, len(columns))
    down = height / highest_ms
    lines = _bag_starts(columns, step, height)
    if series.frames_per_column > 1:
        lines.append(_slowest(columns, step, height, down))
    y_ticks = (Tick(height - value * down, f"{value:g}") for value in tick_values(highest_ms))
    return Chart(
        width,
        height,
        rectangles=tuple(_hints(columns, step, height)),
        x_ticks=tuple(_frame_ticks(columns, step)),
        y_ticks=tuple(y_ticks),
        areas=(*_stages(columns, step, height, down), *_dropped(columns, step, height)),
        lines=tuple(lines),
        note=note,
    )


def shown_stages(columns: Sequence[Column]) -> dict[str, str]:
    """What each stage is shown as, in the order in which stages ran: itself, or REST."""
    totals: Counter[str] = Counter()
    for column in columns:
        totals.update(column.stage_ms)
    ranked = [stage for stage, _ in totals.most_common()]
    shown = ranked if len(ranked) <= MOST_STAGES else ranked[: MOST_STAGES - 1]
    return {stage: stage if stage in shown else REST for stage in totals}


def _stages(columns: Sequence[Column], step: float, height: float, down: float) -> list[Area]:
    names = shown_stages(columns)
    # The rest goes on top, wherever its parts ran.
    order = sorted(dict.fromkeys(names.values()), key=lambda name: name == REST)
    bottoms = [height] * len(columns)
    areas = []
    for color, shown in zip(STAGE_COLORS, order, strict=False):
        parts = [stage for stage, name in names.items() if name == shown]
        path = []
        for index, column in enumerate(columns):
            tall = min(down * sum(column.mean_ms(stage) for stage in parts), bottoms[index])
            bottoms[index] -= tall
            path.append(_box(index * step, bottoms[index], _filled(step), tall))
        areas.append(Area("".join(path), color, shown))
    return areas


def _dropped(columns: Sequence[Column], step: float, height: float) -> list[Area]:
    """Mark columns in which frames were dropped, below the axis; the taller, the larger their share."""
    path = [
        _box(index * step, height + 1, _filled(step), DROPPED_HEIGHT * column.dropped / column.frames)
        for index, column in enumerate(columns)
        if column.dropped
    ]
    return [Area("".join(path), DROPPED_COLOR, "share of frames dropped, below the axis")] if path else []


def _filled(step: float) -> float:
    return step * FILLED if step > 4 else step


def _box(x: float, y: float, width: float, height: float) -> str:
    if height < 0.05:
        return ""
    return f"M{x:.1f} {y:.1f}h{width:.1f}v{height:.1f}h{-width:.1f}z"


def _slowest(columns: Sequence[Column], step: float, height: float, down: float) -> Line:
    points = tuple(
        ((index + 0.5) * step, max(0.0, height - column.slowest_ms * down))
        for index, column in enumerate(columns)
        if column.results
    )
    return Line(points, SLOWEST_COLOR, "slowest frame of each column")


def _bag_starts(columns: Sequence[Column], step: float, height: float) -> list[Line]:
    """Lines between bags; one label serves all."""
    starts = [index for index in range(1, len(columns)) if columns[index].last[0] != columns[index - 1].last[0]]
    return [
        Line(((index * step, 0.0), (index * step, height)), SLOWEST_COLOR, "" if number else "next bag", dashed=True)
        for number, index in enumerate(starts)
    ]


def _hints(columns: Sequence[Column], step: float, height: float) -> list[Rectangle]:
    names = shown_stages(columns)
    texts = ("\n".join(_hint(column, names)) for column in columns)
    return [Rectangle(index * step, 0.0, step, height, "", text) for index, text in enumerate(texts)]


def _hint(column: Column, names: Mapping[str, str]) -> list[str]:
    parts = dict.fromkeys(names.values(), 0.0)
    for stage, shown in names.items():
        parts[shown] += column.mean_ms(stage)
    lines = [_span(column)]
    lines += [f"{name}: {duration_ms:.1f} ms" for name, duration_ms in parts.items() if duration_ms >= 0.05]
    lines += [f"slowest: {column.slowest_ms:.1f} ms"] if column.results > 1 else []
    return lines + ([f"{column.dropped} dropped"] if column.dropped else [])


def _span(column: Column) -> str:
    (bag, first), (last_bag, last) = column.first, column.last
    if column.frames == 1:
        return f"{bag}, frame {first}"
    return f"{bag}, frame {first}, to {last if last_bag == bag else f'{last_bag}, frame {last}'}"


def _frame_ticks(columns: Sequence[Column], step: float) -> list[Tick]:
    """Number frames over all bags, from 1."""
    frames = [column.frames for column in columns]
    before = [sum(frames[:index]) for index in range(len(frames))]
    wanted = [value for value in tick_values(sum(frames), 8) if value >= 1]
    ticks = []
    for value in wanted:
        index = max(place for place, count in enumerate(before) if count < value)
        within = (value - before[index] - 0.5) / max(1, frames[index])
        ticks.append(Tick((index + within) * step, f"{value:g}"))
    return ticks
